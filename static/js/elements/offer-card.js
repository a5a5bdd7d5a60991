// Offers at the top of the desk: a countdown ring, who and why, accept or decline with a reason.

import { clock } from "../clock.js";
import { offerId } from "../desk-state.js";
import { channelMark, fill, idOf, show, stamp, words } from "../marks.js";

const lengths = new Map(); // offer id → milliseconds it was given, as first seen

function money(value) {
  const amount = Number(value?.amount ?? value);
  return amount > 0 ? `value ${amount.toLocaleString(undefined, { maximumFractionDigits: 0 })} ${value.currency ?? "€"} a year` : "";
}

function firstLine({ offer, context, ticket }) {
  const inbound = (context?.history ?? []).find((line) => line.direction === "inbound" && line.text);
  return offer.text || inbound?.text || (ticket ?? context?.ticket)?.subject || "";
}

function why({ offer }) {
  const skills = (offer.why ?? offer.reason ?? "").toString();
  return skills ? `Why you: ${words(skills)}` : "";
}

// Of the card's sentences the two that change what to do: how often, and what is still owed.
function stands({ summary = [], answers = {} }) {
  const owed = answers.got_what_was_needed?.answer === "no" ? answers.got_what_was_needed.text : "";
  return { often: summary.at(-1) ?? "", owed };
}

export function drawOffer(template, entry) {
  const { offer } = entry;
  const context = entry.context ?? {};
  const card = stamp(template);
  card.dataset.offer = offer.id;
  const open = (context.answers?.still_open ?? context.open_tickets ?? []).filter((ticket) => idOf(ticket) !== idOf(entry.ticket ?? context.ticket));
  const { often, owed } = stands(context);
  fill(card, {
    mark: channelMark(offer.channel?.kind),
    queue: words(offer.queue?.name ?? offer.queue).replace(/^./, (letter) => letter.toUpperCase()),
    score: offer.priority ? `score ${Number(offer.priority.score).toFixed(2)}` : "",
    why: why(entry),
    text: firstLine(entry),
    customer: context.customer?.name || context.customer?.handle || context.identities?.[0]?.handle || "Unknown customer",
    summary: often,
    owed,
    value: money(context.value),
    open: open.length ? `also open: ${open.map((ticket) => `#${ticket.number ?? ticket.id}`).join(", ")}` : "",
  });
  card.querySelector('[data-fill="score"]').hidden = !offer.priority;
  card.querySelector('[data-fill="score"]').title = parts(offer.priority?.parts);
  show(card, "summary", Boolean(often));
  show(card, "owed", Boolean(owed));
  show(card, "value", Boolean(money(context.value)));
  show(card, "open", open.length > 0);
  tickOffer(card, entry);
  return card;
}

const parts = (named = {}) => Object.entries(named).map(([name, part]) => `${words(name)} ${typeof part === "number" ? part.toFixed(2) : (part ?? "unknown")}`).join("\n");

export function tickOffer(card, entry) {
  const left = Date.parse(entry.offer.expires_at ?? "") - clock.now();
  const ring = card.querySelector(".ring");
  if (Number.isNaN(left)) return (ring.hidden = true);
  const id = offerId(entry);
  if (!lengths.has(id)) lengths.set(id, Math.max(left, Date.parse(entry.offer.expires_at) - Date.parse(entry.offer.offered_at ?? "") || 0, 1));
  const share = Math.max(0, Math.min(1, left / lengths.get(id)));
  card.dataset.level = share <= 0.25 ? "soon" : "ok";
  card.querySelector(".ring__arc").setAttribute("stroke-dashoffset", String(100 * (1 - share)));
  fill(card, { seconds: Math.max(0, Math.ceil(left / 1000)) });
  return left;
}
