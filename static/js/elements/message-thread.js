// <message-thread>: one interaction, live. News brings ids; the words are fetched as fragments.

import { fragment, post, read } from "../http.js";
import { idOf, show, toast } from "../marks.js";
import { LiveSocket } from "../socket.js";
import "./code-list.js";
import "./message-composer.js";

const NEAR = 120; // px from the end: who reads above is not pulled down

/** The time that a button of "put aside" means. */
function until({ hours, days }) {
  if (hours) return { until: new Date(Date.now() + hours * 3_600_000).toISOString() };
  if (!days) return {};
  const morning = new Date();
  morning.setDate(morning.getDate() + Number(days));
  morning.setHours(9, 0, 0, 0);
  return { until: morning.toISOString() };
}

/** What stands in a form; of a choice that was left open nothing is sent, and the id of a colleague is a number. */
function entered(form) {
  const given = Object.fromEntries(new FormData(form));
  for (const choice of form.querySelectorAll("select[name]")) {
    if (!choice.value) delete given[choice.name];
    else if ("number" in choice.dataset) given[choice.name] = Number(choice.value);
  }
  for (const time of form.querySelectorAll("[data-instant]")) given[time.name] = time.value ? new Date(time.value).toISOString() : null;
  return given;
}

class MessageThread extends HTMLElement {
  connectedCallback() {
    this.id_ = this.dataset.interaction;
    this.list = this.querySelector(".thread__list");
    this.toEnd();
    this.list.addEventListener("scroll", () => (this.atEnd = this.isAtEnd()), { passive: true });
    this.sizes = new ResizeObserver(() => this.atEnd && this.toEnd());
    this.sizes.observe(this.list);
    this.addEventListener("click", (event) => this.clicked(event));
    this.addEventListener("submit", (event) => event.target.dataset.form && this.submitted(event));
    this.addEventListener("written", ({ detail }) => this.fetchMessage(detail));
    this.onKey = (event) => this.key(event);
    document.addEventListener("key", this.onKey);
    this.fresh = true;
    const leads = !this.closest("desk-board");
    this.socket = new LiveSocket(`/ws/interactions/${this.id_}/`, { seq: Number(this.dataset.seq) || null, leads, onFrame: (frame) => this.take(frame) });
  }

  disconnectedCallback() {
    this.socket.stop();
    this.sizes.disconnect();
    document.removeEventListener("key", this.onKey);
  }

  isAtEnd() {
    return this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < NEAR;
  }

  toEnd() {
    this.list.scrollTop = this.list.scrollHeight;
    this.atEnd = true;
  }

  take({ type, data = {} }) {
    if (type === "message.received" || type === "message.updated") this.fetchMessage(idOf(data.message) ?? data.id);
    if (type === "message.updated") this.soon();
    if (type === "interaction.updated" || (type === "snapshot" && !this.fresh)) this.reload(type === "snapshot");
    if (type === "typing") this.typing(data);
    if (type === "snapshot") this.missing(data.messages ?? []);
    this.fresh = false;
  }

  /** The first snapshot may hold what came between the page and the socket. */
  missing(messages) {
    const last = Math.max(0, ...[...this.list.querySelectorAll("[data-message]")].map((one) => Number(one.dataset.message)));
    for (const message of messages) if (message.id > last) this.fetchMessage(message.id);
  }

  async fetchMessage(id) {
    if (!id) return;
    const html = await fragment(`/interactions/${this.id_}/messages/${id}/`).catch(() => null);
    if (html) this.put(id, document.createRange().createContextualFragment(html).firstElementChild);
  }

  put(id, message) {
    const follow = this.isAtEnd();
    const old = this.list.querySelector(`[data-message="${id}"]`);
    this.list.querySelector(":scope > .empty")?.remove();
    if (old) old.replaceWith(message);
    else {
      message.classList.add("message--new");
      const at = (one) => Date.parse(one.querySelector(".message__head > relative-time")?.getAttribute("datetime") ?? "") || 0;
      const later = [...this.list.children].find((one) => at(one) > at(message));
      this.list.insertBefore(message, later ?? null);
    }
    if (follow) this.toEnd();
  }

  /** A message that was sent may have met the target that the header counts down. */
  soon() {
    clearTimeout(this.later);
    this.later = setTimeout(() => this.reload(false), 300);
  }

  async reload(withMessages) {
    const html = await fragment(`/interactions/${this.id_}/thread/`).catch(() => null);
    const fresh = html && document.createRange().createContextualFragment(html).querySelector("message-thread");
    if (!fresh || !this.isConnected) return;
    this.dataset.workItem = fresh.dataset.workItem; // a lost call that rings again is other work
    this.querySelector(".thread__head").replaceWith(fresh.querySelector(".thread__head"));
    if (withMessages) this.list.replaceChildren(...fresh.querySelector(".thread__list").childNodes);
  }

  typing({ name }) {
    const line = this.querySelector(".typing");
    line.textContent = `${name ?? "Somebody"} is typing…`;
    clearTimeout(this.quiet);
    this.quiet = setTimeout(() => (line.textContent = ""), 4000);
  }

  clicked(event) {
    const act = event.target.closest("[data-act]")?.dataset.act;
    if (act === "close" || act === "transfer" || act === "park" || act === "whisper" || act === "ask-in" || act === "callback" || act === "not-reached") this.ask(act);
    if (act === "take-up" || act === "take-over" || act === "join" || act === "hand-back") this.grasp(act);
    if (act === "release" || act === "give-back") this.decide(act, event.target.closest("[data-message]").dataset.message);
    if (act?.startsWith("joining-")) this.second(act.slice("joining-".length), event.target.closest(".joining").dataset.joining);
    if (act === "extend") this.wrapUp(true);
    if (act === "dismiss") event.target.closest("dialog").close();
  }

  async grasp(act) {
    try {
      await post(`/api/v1/work-items/${this.dataset.workItem}/${act}/`);
      if (act === "hand-back") this.handedOn("Handed back.");
      else if (act === "take-over") this.taken();
      else this.reload(false);
    } catch (problem) {
      toast(problem.message, "bad");
    }
  }

  /** A coach lets an answer of somebody in training leave, or says why not. */
  async decide(act, message) {
    this.deciding = message;
    if (act === "give-back") return this.dialog("give-back").showModal();
    try {
      await post(`/api/v1/messages/${message}/release/`);
      this.fetchMessage(Number(message));
    } catch (problem) {
      toast(problem.message, "bad");
    }
  }

  /** What the second person in a thread, or its owner with him, does. */
  async second(act, id) {
    try {
      await post(`/api/v1/joinings/${id}/${act}/`, act === "decline" ? { reason: "not now" } : undefined);
      if (act === "take-over") this.taken();
      else this.reload(false);
    } catch (problem) {
      toast(problem.message, "bad");
      this.reload(false);
    }
  }

  /** It is the reader's own now: the thread is drawn anew, with what he may do. */
  taken() {
    if (!this.closest("desk-board")) location.assign(`/desk/?interaction=${this.id_}`);
    this.dispatchEvent(new CustomEvent("taken", { bubbles: true }));
  }

  handedOn(words) {
    toast(words, "good");
    if (!this.closest("desk-board")) location.reload();
    this.dispatchEvent(new CustomEvent("finished", { bubbles: true }));
  }

  dialog(name) {
    return this.querySelector(`[data-dialog="${name}"]`);
  }

  key(event) {
    const act = { e: "close", t: "transfer", z: "park", i: "ask-in" }[event.detail];
    if (!act || !this.dialog(act)) return;
    event.preventDefault();
    this.ask(act);
  }

  ask(act) {
    this.dialog(act)?.showModal();
    if (act === "close") this.codes();
  }

  /** What it may be closed with; live work is over now, and its time for the codes runs. */
  async codes() {
    const said = await read(`/api/v1/work-items/${this.dataset.workItem}/codes/`).catch((problem) => this.failed("close", problem));
    if (!said) return;
    for (const list of this.querySelectorAll("code-list")) {
      const chosen = list.dataset.kind === "reason" ? this.dataset.topic : "";
      list.show(said[list.dataset.kind], { chosen, required: said.required });
    }
    if (said.live) await this.wrapUp(false);
  }

  async wrapUp(extend) {
    const said = await post(`/api/v1/work-items/${this.dataset.workItem}/wrap-up/`, { extend }).catch((problem) => this.failed("close", problem));
    if (!said) return;
    const part = show(this, "wrap-up", Boolean(said.wrap_up_until));
    part.querySelector("relative-time").setAttribute("datetime", said.wrap_up_until);
    part.querySelector("button").hidden = said.wrap_up_extended;
  }

  failed(name, problem) {
    const error = this.dialog(name).querySelector(".field__error");
    error.textContent = problem.message;
    error.hidden = false;
  }

  async submitted(event) {
    event.preventDefault();
    const form = event.target;
    const acts = { close: "complete", transfer: "transfer", park: "park", whisper: "whisper", "ask-in": "ask-in", callback: "callback", "not-reached": "not-reached" };
    const given = form.dataset.form === "park" ? until(event.submitter.dataset) : entered(form);
    const error = form.querySelector(".field__error");
    error.hidden = true;
    try {
      if (form.dataset.form === "give-back") await post(`/api/v1/messages/${this.deciding}/give-back/`, given);
      else await post(`/api/v1/work-items/${this.dataset.workItem}/${acts[form.dataset.form]}/`, given);
    } catch (problem) {
      error.textContent = problem.message;
      error.hidden = false;
      return;
    }
    form.closest("dialog").close();
    if (form.dataset.form === "whisper" || form.dataset.form === "ask-in") return form.reset();
    if (form.dataset.form === "give-back") return form.reset();
    if (form.dataset.form === "callback" || given.message) return this.reload(false);
    this.handedOn({ close: "Closed.", transfer: "Handed over.", park: "Put aside.", "not-reached": "It comes up again." }[form.dataset.form]);
  }
}

customElements.define("message-thread", MessageThread);
