// <message-composer>: says who will read it, keeps the draft, sends once.

import { newKey, post } from "../http.js";

const PLACES = { reply: "replies", note: "notes" };

class MessageComposer extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form");
    this.text = this.querySelector("textarea");
    this.audience = this.dataset.audience;
    this.limit = Number(this.dataset.limit) || 0;
    this.mode = "reply";
    this.drafts = { reply: this.kept("reply"), note: this.kept("note") };
    this.text.value = this.drafts.reply.text;
    this.form.addEventListener("submit", (event) => (event.preventDefault(), this.send()));
    this.text.addEventListener("input", () => this.changed());
    this.text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) (event.preventDefault(), this.send());
      if (event.key === "Escape") this.text.blur();
    });
    this.addEventListener("click", (event) => this.clicked(event));
    this.querySelector('[data-act="macro"]')?.addEventListener("change", (event) => this.insert(event.target));
    this.onKey = (event) => this.key(event);
    document.addEventListener("key", this.onKey);
    this.draw();
  }

  disconnectedCallback() {
    document.removeEventListener("key", this.onKey);
  }

  // ---- drafts: one per interaction and mode; its key is kept with it, so that a retry cannot post twice

  place(mode) {
    return `draft:${this.dataset.interaction}:${mode}`;
  }

  kept(mode) {
    try {
      return JSON.parse(localStorage.getItem(this.place(mode))) ?? { text: "" };
    } catch {
      return { text: "" };
    }
  }

  changed() {
    this.drafts[this.mode] = { text: this.text.value, key: newKey() };
    this.keep();
    this.draw();
  }

  keep() {
    const draft = this.drafts[this.mode];
    if (draft.text) localStorage.setItem(this.place(this.mode), JSON.stringify(draft));
    else localStorage.removeItem(this.place(this.mode));
  }

  // ---- what stands there

  draw() {
    const says = this.mode === "note" ? "internal" : this.audience;
    this.form.dataset.audience = says;
    for (const part of this.querySelectorAll("[data-says]")) part.hidden = part.dataset.says !== says;
    for (const button of this.querySelectorAll("[data-mode]")) button.setAttribute("aria-pressed", String(button.dataset.mode === this.mode));
    this.querySelector('[data-act="switch"]')?.setAttribute("aria-pressed", String(this.audience !== this.dataset.audience));
    this.querySelector('[data-part="verb"]').textContent = { public: "Send publicly", private: "Send", internal: "Save note" }[says];
    this.text.placeholder = says === "internal" ? "A note for colleagues…" : this.dataset.placeholder;
    const count = this.querySelector('[data-part="count"]');
    const length = [...this.text.value].length;
    const limit = this.mode === "reply" ? this.limit : 0;
    count.textContent = limit ? `${length} / ${limit}` : length ? `${length}` : "";
    count.dataset.level = limit && length > limit ? "over" : "ok";
    this.querySelector('[data-part="draft"]').textContent = this.text.value ? "Draft kept" : "";
  }

  take(mode) {
    this.mode = mode;
    this.text.value = this.drafts[mode].text;
    this.draw();
    this.text.focus();
  }

  clicked(event) {
    const mode = event.target.closest("[data-mode]")?.dataset.mode;
    if (mode) this.take(mode);
    if (event.target.closest('[data-act="switch"]')) {
      this.audience = this.audience === "public" ? "private" : "public";
      this.take("reply");
    }
  }

  key(event) {
    const mode = { r: "reply", n: "note" }[event.detail];
    if (!mode) return;
    event.preventDefault();
    this.take(mode);
  }

  insert(select) {
    if (!select.value) return;
    this.text.setRangeText(select.value, this.text.selectionStart, this.text.selectionEnd, "end");
    select.value = "";
    this.changed();
    this.text.focus();
  }

  complain(message) {
    const error = this.querySelector(".composer__error");
    error.hidden = !message;
    error.querySelector("span").textContent = message;
  }

  async send() {
    const text = this.text.value.trim();
    const button = this.querySelector('[data-testid="send"]');
    if (!text || button.disabled) return;
    if (this.mode === "reply" && this.limit && [...text].length > this.limit) return this.complain(`Too long for this network: at most ${this.limit} characters.`);
    const mode = this.mode;
    const draft = this.drafts[mode];
    draft.key ??= newKey();
    this.complain("");
    button.disabled = true;
    try {
      const body = mode === "reply" ? { text, audience: this.audience } : { text };
      const message = await post(`/api/v1/interactions/${this.dataset.interaction}/${PLACES[mode]}/`, body, draft.key);
      this.sent(mode, draft, message);
    } catch (problem) {
      this.complain(problem instanceof TypeError ? "No connection. Your text is kept; send again when it is back." : `Not sent: ${problem.message}`);
    } finally {
      button.disabled = false;
    }
  }

  /** Clears only what was sent: words typed meanwhile stay. */
  sent(mode, draft, message) {
    if (this.drafts[mode] === draft) {
      this.drafts[mode] = { text: "" };
      localStorage.removeItem(this.place(mode));
      if (this.mode === mode) this.text.value = "";
    }
    this.draw();
    this.dispatchEvent(new CustomEvent("written", { bubbles: true, detail: message?.id ?? message?.message?.id }));
  }
}

customElements.define("message-composer", MessageComposer);
