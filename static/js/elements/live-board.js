// <live-board>: whole snapshots in, tiles and agents out. Instants come; the browser ticks.

import { clock } from "../clock.js";
import { fill, show, stamp, words } from "../marks.js";
import { LiveSocket } from "../socket.js";
import { Sparkline } from "../sparkline.js";

const SOON = 5 * 60_000;
const STAFF = ["idle", "in_work", "wrap_up", "break", "not_responding"];
const percent = (share) => (share === null || share === undefined ? "–" : `${Math.round(share * 100)} %`);
const minute = new Intl.DateTimeFormat(undefined, { timeStyle: "short", hourCycle: "h23" });
const time = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hourCycle: "h23" });

function linkTo(href, text) {
  const link = document.createElement("a");
  link.href = href;
  link.textContent = text;
  return link;
}

class LiveBoard extends HTMLElement {
  connectedCallback() {
    this.sparks = new Map();
    this.seen = new Set(JSON.parse(sessionStorage.getItem("acknowledged") ?? "[]"));
    this.addEventListener("click", (event) => this.acknowledge(event.target.closest('[data-act="acknowledge"]')));
    const embedded = JSON.parse(document.getElementById("board-snapshot")?.textContent || "null");
    if (embedded) this.draw(embedded);
    this.socket = new LiveSocket(`/ws/boards/${this.dataset.slug}/`, { dense: false, leads: true, onFrame: (frame) => this.take(frame) });
    document.addEventListener("connection", ({ detail }) => this.classList.toggle("is-stale", detail.state !== "live"));
    document.addEventListener("theme", () => this.sparks.forEach((spark) => spark.redraw()));
  }

  take({ type, data }) {
    if (data && (type === "snapshot" || data.queues)) this.draw(data);
  }

  draw(board) {
    this.board = board;
    fill(document, { "as-of": board.as_of ? time.format(new Date(board.as_of)) : "–" });
    this.keyed(".tiles", "#tpl-tile", board.queues ?? [], (queue) => queue.slug, (tile, queue) => this.tile(tile, queue));
    this.keyed(".agents tbody", "#tpl-agent", board.agents ?? [], (agent) => agent.id, (row, agent) => this.agent(row, agent));
    this.keyed(".bars", "#tpl-bar", board.queues ?? [], (queue) => queue.slug, (bar, queue) => this.bar(bar, queue));
    const alerts = (board.alerts ?? []).filter((alert) => !this.seen.has(String(alert.id)));
    this.keyed(".alerts", "#tpl-alert", alerts, (alert) => alert.id, (line, alert) => this.alert(line, alert));
    show(this, "no-queues", !board.queues?.length);
    show(this, "no-agents", !board.agents?.length);
    fill(this, { agents: `${board.agents?.length ?? 0} signed in` });
    this.totals(board.totals ?? {});
  }

  /** Keep the node of each key: what does not change is not touched. */
  keyed(where, template, rows, key, paint) {
    const list = this.querySelector(where);
    const old = new Map([...list.children].map((node) => [node.dataset.id, node]));
    rows.forEach((row, index) => {
      const id = String(key(row));
      const node = old.get(id) ?? stamp(this.querySelector(template));
      old.delete(id);
      node.dataset.id = id;
      if (list.children[index] !== node) list.insertBefore(node, list.children[index] ?? null);
      paint(node, row);
    });
    for (const node of old.values()) node.remove();
  }

  tile(tile, queue) {
    const breach = Date.parse(queue.next_breach_at ?? "") - clock.now();
    const missed = queue.service_level !== null && queue.service_level < queue.target;
    const overdue = queue.overdue ? `${queue.overdue} overdue · ` : "";
    tile.dataset.level = breach <= 0 || overdue ? "bad" : missed ? "bad" : breach <= SOON ? "warn" : "ok";
    tile.dataset.sl = queue.service_level === null ? "none" : missed ? "bad" : "good";
    fill(tile, {
      name: queue.name, waiting: queue.waiting, target: `target ${percent(queue.target)}`, level: percent(queue.service_level),
      breach: breach <= 0 ? "breached" : "breach near", staff: this.staffWords(queue.staffed), "in-work": `${overdue}${queue.in_work ?? 0} in work`,
    });
    show(tile, "breach", breach <= SOON);
    show(tile, "held", Boolean(queue.held));
    if (queue.held) fill(tile, { held: `${queue.held.count} held for calls, next at ${minute.format(new Date(queue.held.next_at))}` });
    tile.querySelector('[data-part="breach"]').className = `badge badge--${breach <= 0 ? "bad" : "warn"}`;
    tile.querySelector('[data-fill="level"]').dataset.level = { bad: "bad", good: "good", none: "" }[tile.dataset.sl];
    tile.querySelector('[data-fill="waiting"]').dataset.testid = `waiting-${queue.slug}`;
    const [oldest, next] = tile.querySelectorAll("relative-time");
    instant(oldest, queue.oldest_queued_at);
    instant(next, queue.next_breach_at);
    this.staff(tile.querySelector(".staff"), queue.staffed ?? {});
    if (!this.sparks.has(queue.slug)) this.sparks.set(queue.slug, new Sparkline(tile.querySelector(".tile__spark")));
    this.sparks.get(queue.slug).show(queue.spark ?? [], queue.target);
  }

  staffWords(staffed = {}) {
    const said = STAFF.filter((state) => staffed[state] || state === "idle" || state === "in_work");
    return said.map((state) => `${staffed[state] ?? 0} ${words(state)}`).join(" · ");
  }

  staff(bar, staffed) {
    if (!bar.children.length) bar.append(...STAFF.map((state) => Object.assign(document.createElement("span"), { className: `staff--${state}` })));
    STAFF.forEach((state, index) => {
      bar.children[index].style.flexGrow = String(staffed[state] ?? 0);
      bar.children[index].hidden = !staffed[state];
    });
    bar.setAttribute("aria-label", `Staffed: ${this.staffWords(staffed)}`);
  }

  agent(row, agent) {
    const chosen = agent.state && agent.state !== "available" && agent.doing === "idle";
    const shown = chosen ? agent.state : (agent.doing ?? agent.state);
    row.querySelector(".state").className = `state state--${shown}`;
    row.querySelector(".state").title = `${agent.reason || words(agent.state)}: why?`;
    const items = (agent.items ?? []).slice(0, 3).join(", ") + ((agent.items?.length ?? 0) > 3 ? ` +${agent.items.length - 3}` : "");
    const state = row.querySelector('[data-fill="state"]');
    // Left alone while it says the same: somebody may be on the link.
    if (state.textContent !== words(shown)) state.replaceChildren(linkTo(`/agents/${agent.id}/idle/`, words(shown)));
    fill(row, { name: agent.name, load: agent.units ? `${agent.load ?? 0} / ${agent.units}` : "–", items: items || agent.reason || "" });
    instant(row.querySelector("relative-time"), agent.since);
  }

  bar(bar, queue) {
    fill(bar, { name: queue.name, share: percent(queue.service_level) });
    const meter = bar.querySelector(".meter");
    meter.dataset.level = queue.service_level !== null && queue.service_level < queue.target ? "missed" : "ok";
    meter.querySelector(".meter__fill").style.width = `${100 * (queue.service_level ?? 0)}%`;
    meter.querySelector(".meter__goal").style.insetInlineStart = `${100 * queue.target}%`;
    meter.title = `target ${percent(queue.target)}`;
  }

  alert(line, alert) {
    fill(line, { text: alert.href ? linkTo(alert.href, alert.text) : alert.text });
    instant(line.querySelector("relative-time"), alert.at);
  }

  acknowledge(button) {
    if (!button) return;
    this.seen.add(button.closest(".alert").dataset.id);
    sessionStorage.setItem("acknowledged", JSON.stringify([...this.seen].slice(-500)));
    this.draw(this.board);
  }

  totals(totals) {
    const list = this.querySelector(".totals");
    list.replaceChildren(
      ...Object.entries(totals).filter(([, value]) => typeof value !== "object").map(([name, value]) => {
        const figure = document.createElement("div");
        const share = typeof value === "number" && /level|share|occupancy/.test(name);
        figure.append(Object.assign(document.createElement("dt"), { textContent: words(name) }), Object.assign(document.createElement("dd"), { textContent: share ? percent(value) : value }));
        return figure;
      }),
    );
  }
}

function instant(element, at) {
  if (element.getAttribute("datetime") !== (at ?? "")) element.setAttribute("datetime", at ?? "");
}

customElements.define("live-board", LiveBoard);
