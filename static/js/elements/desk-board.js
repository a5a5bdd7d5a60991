// <desk-board>: the agent's desk. Draws offers, work and queues from one state; opens threads and customers beside it.

import { applied, needsReading, nextDueFirst, offerId } from "../desk-state.js";
import { everySecond } from "../clock.js";
import { fragment, post, read } from "../http.js";
import { channelMark, fill, idOf, show, stamp, toast } from "../marks.js";
import { LiveSocket } from "../socket.js";
import { ring } from "../sound.js";
import "./message-thread.js";
import { drawOffer, tickOffer } from "./offer-card.js";

const REREAD = 20_000; // queues move without a frame of ours

class DeskBoard extends HTMLElement {
  connectedCallback() {
    this.later = null;
    this.pageTitle = document.title;
    this.addEventListener("click", (event) => this.clicked(event));
    this.addEventListener("taken", () => this.open(this.current));
    this.addEventListener("finished", () => this.leave());
    this.addEventListener("submit", (event) => event.submitter?.dataset.hand && this.raise(event));
    document.addEventListener("key", (event) => this.key(event));
    document.addEventListener("presence", ({ detail }) => (this.state.presence = { ...this.state.presence, ...detail }));
    const embedded = JSON.parse(document.getElementById("desk-snapshot")?.textContent || "null");
    this.take({ type: "snapshot", data: embedded ?? {} });
    this.socket = new LiveSocket("/ws/desk/", { seq: embedded?.seq ?? null, heartbeat: true, leads: true, onFrame: (frame) => this.take(frame) });
    everySecond(() => this.tick());
    setInterval(() => document.hidden || this.reread(), REREAD);
    const asked = Number(new URLSearchParams(location.search).get("interaction"));
    if (asked) this.open(asked);
  }

  take(frame) {
    const known = new Set(this.state?.offers.map(offerId));
    this.state = applied(this.state ?? { seq: -1, offers: [], assignments: [] }, frame);
    if (frame.type === "offer.made" && !frame.data.offer.over && !known.has(frame.data.offer.id)) ring();
    if (frame.type === "alert" || frame.type === "whisper") toast(frame.data?.text ?? "An alert without words", frame.type === "alert" ? "bad" : "");
    if (frame.type === "assignment.started") this.started(frame.data);
    if (/^message\./.test(frame.type) && idOf(frame.data.interaction) === this.current) this.thread?.fetchMessage(idOf(frame.data.message));
    if (needsReading(frame.type)) this.soon();
    this.draw();
  }

  /** Read again in a moment; what comes until then shares that reading and does not put it off. */
  soon() {
    this.later ??= setTimeout(() => {
      this.later = null;
      this.reread();
    }, 250 + Math.random() * 250);
  }

  async reread() {
    const snapshot = await read("/api/v1/desk/").catch(() => null); // the socket's banner says that we are offline
    if (snapshot && snapshot.seq >= this.state.seq) this.take({ type: "snapshot", data: snapshot, seq: snapshot.seq });
  }

  started({ interaction }) {
    if (idOf(interaction) === this.accepting && this.current !== this.accepting) this.open(this.accepting);
  }

  // ---- drawing

  draw() {
    const { offers, assignments, queues = [], capacity = {}, presence } = this.state;
    this.drawOffers(offers);
    const mine = nextDueFirst(assignments.filter((one) => one.state !== "parked"));
    const parked = nextDueFirst(assignments.filter((one) => one.state === "parked"));
    const [inHand, aside] = this.querySelectorAll(".work__list");
    inHand.replaceChildren(...this.focusKept(() => mine.map((assignment) => this.work(assignment))));
    aside.replaceChildren(...parked.map((assignment) => this.work(assignment)));
    aside.hidden = !show(this, "parked-label", parked.length > 0) || !parked.length;
    this.restoreFocus();
    show(this, "no-work", mine.length === 0 && offers.length === 0);
    fill(this, { mine: mine.length, parked: parked.length, capacity: `${capacity.used ?? 0} / ${capacity.units ?? "–"}` });
    this.querySelector(".capacity .meter").dataset.level = capacity.used > capacity.units ? "over" : "ok";
    this.querySelector(".capacity .meter__fill").style.width = `${Math.min(100, (100 * (capacity.used ?? 0)) / (capacity.units || 1))}%`;
    this.querySelector(".queues tbody").replaceChildren(...queues.map((queue) => this.queue(queue)));
    this.drawHand(this.state.hand);
    this.drawJoinings(this.state.joinings ?? []);
    const { shift } = this.state;
    show(this, "shift", Boolean(shift?.ending)).querySelector("relative-time").setAttribute("datetime", shift?.ends_at ?? "");
    document.title = offers.length ? `(${offers.length}) Offer waiting · Earshot` : this.pageTitle;
    if (presence?.state) document.dispatchEvent(new CustomEvent("presence", { detail: presence }));
  }

  focusKept(make) {
    this.focused = document.activeElement?.closest?.(".work")?.dataset.interaction;
    return make();
  }

  restoreFocus() {
    if (this.focused) this.querySelector(`.work[data-interaction="${this.focused}"]`)?.focus({ preventScroll: true });
  }

  drawOffers(offers) {
    const list = this.querySelector(".offers");
    const wanted = new Map(offers.map((entry) => [String(offerId(entry)), entry]));
    for (const card of [...list.children]) if (!wanted.has(card.dataset.offer)) card.remove();
    for (const [id, entry] of wanted) {
      if (!list.querySelector(`[data-offer="${id}"]`)) list.append(drawOffer(this.querySelector("#tpl-offer"), entry));
    }
  }

  work(assignment) {
    const item = stamp(this.querySelector("#tpl-work"));
    const button = item.firstElementChild;
    const { ticket = {}, customer = {}, channel = {} } = assignment;
    const interaction = idOf(assignment.interaction);
    Object.assign(button.dataset, { interaction, customer: customer?.id ?? "", workItem: idOf(assignment.work_item), unread: Boolean(assignment.unread), state: assignment.state ?? "" });
    if (interaction === this.current) button.setAttribute("aria-current", "true");
    const last = assignment.last_text ? ` · ${assignment.last_text}` : "";
    fill(item, { mark: channelMark(channel?.kind), subject: ticket?.subject, number: ticket?.number ? `#${ticket.number}` : "", customer: customer?.handle || customer?.name, last, unread: Number(assignment.unread) > 1 ? assignment.unread : "" });
    item.querySelector(".work__unread").hidden = !assignment.unread;
    const due = item.querySelector("relative-time");
    const ends = assignment.wrap_up_until ?? assignment.parked_until ?? assignment.due_at;
    if (ends) due.setAttribute("since", assignment.since ?? "");
    else due.setAttribute("form", "age");
    due.setAttribute("datetime", ends ?? assignment.since ?? "");
    return item;
  }

  queue(queue) {
    const row = stamp(this.querySelector("#tpl-queue"));
    fill(row, { name: queue.name, waiting: queue.waiting });
    const oldest = row.querySelector("relative-time");
    oldest.hidden = !queue.oldest_queued_at;
    row.querySelector('[data-fill="none"]').hidden = Boolean(queue.oldest_queued_at);
    oldest.setAttribute("datetime", queue.oldest_queued_at ?? "");
    return row;
  }

  tick() {
    for (const entry of this.state.offers) {
      const card = this.querySelector(`.offer[data-offer="${offerId(entry)}"]`);
      if (card && tickOffer(card, entry) < -3000) this.soon(); // the server decides; ask what became of it
    }
  }

  // ---- acts

  clicked(event) {
    const card = event.target.closest(".offer");
    const act = event.target.closest("[data-act]")?.dataset.act;
    const pane = event.target.closest("[data-pane]:not(desk-board)")?.dataset.pane;
    const work = event.target.closest(".work");
    if (pane) this.dataset.pane = this.dataset.pane === pane && pane === "customer" ? "thread" : pane;
    if (card && act === "accept") this.accept(Number(card.dataset.offer));
    if (card && act === "decline") this.askReason(card);
    if (event.target.closest("[data-reason]")) this.decline(Number(card.dataset.offer), event.target.closest("[data-reason]").dataset.reason);
    const asked = event.target.closest(".joinings [data-interaction]");
    if (asked) this.open(Number(asked.dataset.interaction), Number(asked.dataset.customer) || null);
    if (work) this.open(Number(work.dataset.interaction), Number(work.dataset.customer) || null);
    if (act === "retry") this.open(this.current);
    if (act === "raise") this.askHand();
    if (act === "unraise") this.querySelector('[data-part="raise"]').close();
    if (act === "lower") this.lower();
  }

  key(event) {
    const card = this.querySelector(".offer");
    const acts = {
      a: card && (() => this.accept(Number(card.dataset.offer))),
      d: card && (() => this.askReason(card)),
      h: () => this.askHand(),
      c: () => (this.dataset.pane = this.dataset.pane === "customer" ? "thread" : "customer"),
    };
    if (!acts[event.detail]) return;
    event.preventDefault();
    acts[event.detail]();
  }

  askHand() {
    if (!this.state.hand) this.querySelector('[data-part="raise"]').showModal();
  }

  async raise(event) {
    event.preventDefault();
    event.target.closest("dialog").close();
    const work_item = Number(this.thread?.dataset.workItem) || null;
    const mine = this.state.assignments.some((one) => idOf(one.work_item) === work_item);
    await post("/api/v1/hands/", { reason: event.submitter.dataset.hand, work_item: mine ? work_item : null }).catch((problem) => toast(problem.message, "bad"));
    this.soon();
  }

  async lower() {
    await post(`/api/v1/hands/${this.state.hand.id}/lower/`).catch((problem) => toast(problem.message, "bad"));
    this.soon();
  }

  drawHand(hand) {
    const part = show(this, "hand", Boolean(hand));
    fill(part, { hand: hand?.taken_by ? `${hand.taken_by} comes to help` : "Your hand is up" });
    part.querySelector("relative-time").setAttribute("datetime", hand?.raised_at ?? "");
    this.querySelector('[data-act="raise"]').hidden = Boolean(hand);
  }

  /** Who asks me into his thread, and where I am in. */
  drawJoinings(joinings) {
    const asks = { consult: "asks for a word on", conference: "asks you to answer too on", warm: "hands you" };
    const line = (one) => {
      const item = stamp(this.querySelector("#tpl-joining"));
      fill(item, { text: one.joined ? `In #${one.number} ${one.subject}` : `${one.owner} ${asks[one.kind]} #${one.number} ${one.subject}` });
      item.querySelector("relative-time").setAttribute("datetime", one.joined_at ?? one.asked_at);
      Object.assign(item.dataset, { interaction: one.interaction, customer: one.customer });
      return item;
    };
    this.querySelector(".joinings").replaceChildren(...joinings.map(line));
  }

  entry(id) {
    return this.state.offers.find((entry) => offerId(entry) === id);
  }

  async accept(id) {
    const entry = this.entry(id);
    const button = this.querySelector(`[data-offer="${id}"] [data-act="accept"]`);
    if (!entry || button?.disabled) return;
    if (button) button.disabled = true;
    this.accepting = idOf(entry.interaction);
    try {
      const said = await post(`/api/v1/offers/${id}/accept/`);
      this.accepted(entry, said);
    } catch (problem) {
      if (button) button.disabled = false;
      this.refused(entry, problem);
    }
  }

  accepted(entry, said) {
    this.forgetOffer(offerId(entry));
    const interaction = idOf(said?.interaction) ?? idOf(entry.interaction);
    // The socket may have said it first: a thread in which somebody writes already is not drawn again.
    if (this.current !== interaction) this.open(interaction, idOf(entry.context?.customer));
    this.soon();
  }

  refused(entry, problem) {
    if (problem.code === "already_yours") return this.accepted(entry, problem.body);
    if (problem.code === "offer_gone" || problem.status === 404) {
      this.forgetOffer(offerId(entry));
      toast(problem.body.holder ? `${problem.body.holder.name ?? problem.body.holder} has it now.` : "This offer is over.");
    } else toast(`Not accepted: ${problem.message}`, "bad");
    this.soon();
  }

  forgetOffer(id) {
    this.state = { ...this.state, offers: this.state.offers.filter((entry) => offerId(entry) !== id) };
    this.draw();
  }

  askReason(card) {
    const reasons = show(card, "reasons", true);
    card.querySelector('[data-act="decline"]').setAttribute("aria-expanded", "true");
    reasons.querySelector("button").focus();
  }

  async decline(id, reason) {
    try {
      await post(`/api/v1/offers/${id}/decline/`, { reason });
      this.forgetOffer(id);
    } catch (problem) {
      this.refused(this.entry(id), problem);
    }
    this.soon();
  }

  // ---- panes

  get thread() {
    return this.querySelector("message-thread");
  }

  async open(interaction, customer = null) {
    if (!interaction) return;
    this.current = interaction;
    this.dataset.pane = "thread";
    this.draw();
    if (customer) this.load("customer", `/customers/${customer}/card/`, interaction);
    await this.load("thread", `/interactions/${interaction}/thread/`, interaction);
    const found = Number(this.thread?.dataset.customer);
    if (!customer && found && this.current === interaction) this.load("customer", `/customers/${found}/card/`, interaction);
  }

  async load(part, path, interaction) {
    const place = this.querySelector(`[data-part="${part}"]`);
    if (place.dataset.shows !== path) place.replaceChildren(stamp(this.querySelector("#tpl-skeleton")));
    place.dataset.shows = path;
    let drawn;
    try {
      drawn = document.createRange().createContextualFragment(await fragment(path));
    } catch (problem) {
      drawn = fill(stamp(this.querySelector("#tpl-failed")), { detail: problem.message });
    }
    if (this.current === interaction) place.replaceChildren(drawn);
  }

  /** The contact is closed or handed over: take the next piece of work, or show that there is none. */
  leave() {
    const left = this.current;
    this.state.assignments = this.state.assignments.filter((one) => idOf(one.interaction) !== left);
    this.current = null;
    const next = nextDueFirst(this.state.assignments.filter((one) => one.state !== "parked"))[0];
    this.draw();
    this.soon();
    if (next) return this.open(idOf(next.interaction), next.customer?.id);
    this.dataset.pane = "work";
    for (const part of ["thread", "customer"]) this.querySelector(`[data-part="${part}"]`).replaceChildren();
  }
}

customElements.define("desk-board", DeskBoard);
