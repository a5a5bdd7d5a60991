// <macro-preview>: how the texts of the editor look on each channel, asked of the server as they are written.

import { post } from "../http.js";
import { channelMark } from "../marks.js";

const REST = 250; // ms without a key

class MacroPreview extends HTMLElement {
  connectedCallback() {
    this.form = document.querySelector('[data-testid="macro-form"]');
    this.form.addEventListener("input", (event) => event.target.matches("[data-channel]") && this.soon());
    this.read();
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.read(), REST);
  }

  async read() {
    const texts = {};
    for (const area of this.form.querySelectorAll("[data-channel]")) if (area.value.trim() || area.dataset.channel === "") texts[area.dataset.channel] = area.value;
    const { "": text = "", ...others } = texts;
    if (!text && !Object.keys(others).length) return;
    const asked = (this.asked = (this.asked ?? 0) + 1);
    // For a text of every channel the short ones are shown too: there it would not fit first.
    const short = { x: others.x ?? "", sms: others.sms ?? "", ...others };
    const answer = await post("/api/v1/macros/try/", { text, texts: short }).catch((problem) => ({ failed: problem.message }));
    if (asked === this.asked) this.replaceChildren(...(answer.results ?? [{ channel: "", text: "", problem: answer.failed }]).map((one) => this.draw(one)));
  }

  draw({ channel, text, problem, length, limit, fits }) {
    const block = document.createElement("div");
    block.className = "specimen";
    const head = document.createElement("p");
    head.className = "specimen__head";
    if (channel) head.append(channelMark(channel));
    head.append(channel ? "" : "Every channel");
    const count = document.createElement("span");
    count.className = "composer__count push";
    count.dataset.level = fits === false ? "over" : "ok";
    count.textContent = limit ? `${length} / ${limit}` : `${length ?? ""}`;
    head.append(count);
    const words = document.createElement("bdi");
    words.className = problem ? "specimen__problem" : "specimen__text";
    words.textContent = problem || text;
    block.append(head, words);
    return block;
  }
}

customElements.define("macro-preview", MacroPreview);
