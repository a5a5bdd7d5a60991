// <presence-switch>: what the agent chose, since when; a choice is one PUT.

import { clock, everySecond, minutesAndSeconds } from "../clock.js";
import { send } from "../http.js";
import { toast, words } from "../marks.js";

class PresenceSwitch extends HTMLElement {
  connectedCallback() {
    this.addEventListener("click", (event) => {
      const state = event.target.closest("button[data-state]")?.dataset.state;
      if (state) this.choose(state);
    });
    this.onKey = (event) => event.detail === "p" && (event.preventDefault(), this.choose("available"));
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

  async choose(state) {
    try {
      const said = await send("PUT", "/api/v1/agents/me/presence/", { state });
      this.show({ ...said, state: said.state ?? state });
    } catch (problem) {
      toast(`Presence was not changed: ${problem.message}`, "bad");
    }
  }

  show(presence) {
    this.presence = { ...this.presence, ...presence };
    const { state, doing, reason } = this.presence;
    const shown = doing === "not_responding" ? doing : state;
    const button = this.querySelector("summary");
    button.className = `state presence__button state--${shown}`;
    button.title = [words(doing), reason].filter(Boolean).join(" · ");
    const word = words(shown);
    button.querySelector(".presence__word").textContent = word.charAt(0).toUpperCase() + word.slice(1);
    for (const choice of this.querySelectorAll("button[data-state]")) choice.setAttribute("aria-pressed", String(choice.dataset.state === state));
    this.tick();
  }

  tick() {
    const since = Date.parse(this.presence?.since ?? "");
    this.querySelector(".presence__since").textContent = Number.isNaN(since) ? "" : minutesAndSeconds(clock.now() - since);
  }
}

customElements.define("presence-switch", PresenceSwitch);
