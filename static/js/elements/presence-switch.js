// <presence-switch>: what the agent chose, since when; a choice is one PUT.

import { clock, everySecond, minutesAndSeconds } from "../clock.js";
import { read, send } from "../http.js";
import { icon, show, toast, words } from "../marks.js";

class PresenceSwitch extends HTMLElement {
  connectedCallback() {
    this.addEventListener("click", (event) => {
      const { state, after } = event.target.closest("button[data-state]")?.dataset ?? {};
      if (state) this.choose(state, after);
    });
    this.querySelector("details").addEventListener("toggle", () => this.ownReasons(), { once: true });
    this.onKey = (event) => this.key(event);
    this.onNews = ({ detail }) => this.show(detail);
    document.addEventListener("key", this.onKey);
    document.addEventListener("presence", this.onNews);
    this.forget = everySecond(() => this.tick());
    if (this.dataset.state) this.show({ ...this.dataset });
  }

  disconnectedCallback() {
    document.removeEventListener("key", this.onKey);
    document.removeEventListener("presence", this.onNews);
    this.forget();
  }

  /** Breaks and the end of the day have keys where the work is. */
  key(event) {
    const desk = document.querySelector("desk-board");
    const chosen = { p: ["available"], ...(desk && { b: ["break", "this"], f: ["offline", "all"] }) }[event.detail];
    if (!chosen) return;
    event.preventDefault();
    this.choose(...chosen);
  }

  async ownReasons() {
    const own = await read("/api/v1/presence-reasons/?retired=false").then((page) => page.results, () => []);
    const place = show(this, "own-reasons", own.length > 0);
    place.replaceChildren(
      ...own.map((reason) => {
        const button = document.createElement("button");
        Object.assign(button, { type: "button", textContent: reason.name });
        button.dataset.state = reason.slug;
        button.prepend(icon("clock"));
        return button;
      }),
    );
    this.show({});
  }

  async choose(state, after = "") {
    try {
      const said = await send("PUT", "/api/v1/agents/me/presence/", { state, after });
      this.show({ ...said, state: said.state ?? state });
    } catch (problem) {
      toast(`Presence was not changed: ${problem.message}`, "bad");
    }
  }

  show(presence) {
    this.presence = { ...this.presence, ...presence };
    const { state, doing, reason, then } = this.presence;
    const shown = doing === "not_responding" ? doing : state;
    const button = this.querySelector("summary");
    button.className = `state presence__button state--${shown}`;
    button.title = [words(doing), reason].filter(Boolean).join(" · ");
    const word = doing === "wrap_up" ? words(doing) : words(shown).replaceAll("-", " ");
    const ahead = then ? `, then ${words(then.state)}` : "";
    button.querySelector(".presence__word").textContent = word.charAt(0).toUpperCase() + word.slice(1) + ahead;
    for (const choice of this.querySelectorAll("button[data-state]")) {
      const pressed = choice.dataset.after ? choice.dataset.after === then?.after && choice.dataset.state === then?.state : choice.dataset.state === state;
      choice.setAttribute("aria-pressed", String(Boolean(pressed)));
    }
    this.tick();
  }

  tick() {
    const since = Date.parse(this.presence?.since ?? "");
    const until = Date.parse(this.presence?.until ?? "");
    const shown = this.querySelector(".presence__since");
    shown.textContent = Number.isNaN(since) ? "" : minutesAndSeconds(clock.now() - since);
    shown.classList.toggle("is-bad", !Number.isNaN(until) && until < clock.now());
  }
}

customElements.define("presence-switch", PresenceSwitch);
