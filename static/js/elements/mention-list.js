// <mention-list>: rows move with j and k, verdicts are one key, the preview follows the row.

import { fragment, post } from "../http.js";
import { toast, words } from "../marks.js";

const LOOK = 20_000;

class MentionList extends HTMLElement {
  connectedCallback() {
    this.preview = this.querySelector('[data-part="preview"]');
    this.fresh = this.querySelector('[data-act="fresh"]');
    if (!this.preview) return; // a table, or nothing to show
    this.addEventListener("focusin", (event) => this.select(event.target.closest(".mention")));
    this.addEventListener("click", (event) => this.clicked(event));
    this.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && event.target.matches(".mention")) event.target.querySelector('a[href^="/interactions/"]')?.click();
    });
    this.hear = (event) => this.key(event);
    document.addEventListener("key", this.hear);
    const first = this.querySelector(".mention");
    if (first) first.tabIndex = 0;
    this.fresh.addEventListener("click", () => this.showFresh());
    if ("newest" in this.dataset) this.looking = setInterval(() => document.hidden || this.look(), LOOK);
  }

  /** A search draws the rows anew, and this element with them. */
  disconnectedCallback() {
    document.removeEventListener("key", this.hear);
    clearInterval(this.looking);
  }

  /** What came meanwhile waits behind a button, so that no row moves under the hand. */
  async look() {
    const html = await fragment(location.pathname + location.search).catch(() => null);
    if (!html) return;
    const found = [...new DOMParser().parseFromString(html, "text/html").querySelectorAll(".mention")];
    this.waiting = found.filter((row) => !this.querySelector(`[data-mention="${row.dataset.mention}"]`));
    const all = this.waiting.length === found.length && found.length > 0;
    this.fresh.hidden = !this.waiting.length;
    this.fresh.querySelector("span").textContent = `${this.waiting.length}${all ? " or more" : ""} new`;
  }

  showFresh() {
    const rows = this.waiting.map((row) => document.adoptNode(row));
    this.querySelector('[data-part="rows"]').prepend(...rows);
    this.fresh.hidden = true;
    rows[0]?.focus();
  }

  clicked(event) {
    const row = event.target.closest(".mention");
    const verdict = event.target.closest("[data-verdict]")?.dataset.verdict;
    if (verdict) this.decide(row, verdict);
    else if (row && !event.target.closest("a, input")) row.focus();
  }

  key(event) {
    const row = this.querySelector('.mention[aria-current="true"]');
    const button = row?.querySelector(`[data-verdict][data-key="${CSS.escape(event.detail)}"]`);
    if (!button) return;
    event.preventDefault();
    this.decide(row, button.dataset.verdict);
  }

  select(row) {
    if (!row || row.getAttribute("aria-current") === "true") return;
    for (const other of this.querySelectorAll('.mention[aria-current="true"]')) other.removeAttribute("aria-current");
    row.setAttribute("aria-current", "true");
    const text = document.createElement("div");
    text.className = "preview__text";
    text.append(...row.querySelector(".mention__text").cloneNode(true).childNodes);
    const head = row.querySelector(".mention__who").cloneNode(true);
    this.preview.replaceChildren(head, text, ...[...row.querySelector(".mention__more").children].map((part) => part.cloneNode(true)));
  }

  async decide(row, verdict) {
    const buttons = [...row.querySelectorAll("[data-verdict]")];
    const before = buttons.find((button) => button.getAttribute("aria-pressed") === "true")?.dataset.verdict;
    const press = (value) => {
      buttons.forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.verdict === value)));
      row.querySelector('[data-part="verdict"]').textContent = words(value);
    };
    press(verdict);
    try {
      await post(`/api/v1/mentions/${row.dataset.mention}/verdict/`, { verdict });
      toast(`${words(verdict)}: saved.`, "good");
    } catch (problem) {
      press(before);
      toast(`The verdict was not saved: ${problem.message}`, "bad");
    }
  }
}

customElements.define("mention-list", MentionList);
