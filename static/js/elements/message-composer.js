// <message-composer>: says who will read it, keeps the draft, sends once.

import { newKey, post, read } from "../http.js";
import { icon } from "../marks.js";
import { ComposerMenu } from "./composer-menu.js";

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
    this.menu = new ComposerMenu(this.text, this.querySelector(".suggest"), {
      "/": {
        when: () => this.mode === "reply",
        empty: "No macro fits here.",
        load: (words) => this.macros(words),
        choose: (macro, from, to) => this.useMacro(macro, from, to),
      },
      "@": {
        when: () => this.mode === "note",
        load: (words) => this.people(words),
        choose: (one, from, to) => this.put(`${one.insert} `, from, to),
      },
    });
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
    this.drafts[this.mode] = { ...this.drafts[this.mode], text: this.text.value, key: newKey() };
    this.keep();
    this.draw();
  }

  keep() {
    const draft = this.drafts[this.mode];
    if (draft.text || draft.macro) localStorage.setItem(this.place(this.mode), JSON.stringify(draft));
    else localStorage.removeItem(this.place(this.mode));
  }

  // ---- what stands there

  draw() {
    const says = this.mode === "note" ? "internal" : this.audience;
    this.form.dataset.audience = says;
    for (const part of this.querySelectorAll("[data-says]")) part.hidden = part.dataset.says !== says;
    for (const button of this.querySelectorAll("[data-mode]")) button.setAttribute("aria-pressed", String(button.dataset.mode === this.mode));
    this.querySelector('[data-act="switch"]')?.setAttribute("aria-pressed", String(this.audience !== this.dataset.audience));
    const acts = this.mode === "reply" ? this.drafts.reply.macro : null;
    const verb = { public: "Send publicly", private: "Send", internal: "Save note" }[says];
    this.querySelector('[data-part="verb"]').textContent = acts?.acts.length && !this.text.value.trim() ? "Only do it" : verb;
    this.querySelector('[data-act="macros"]').hidden = this.mode === "note";
    this.drawActs(acts);
    this.text.placeholder = says === "internal" ? "A note for colleagues… @ calls one or a team" : this.dataset.placeholder;
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
    if (event.target.closest('[data-act="macros"]')) this.menu.openAt("/");
    const drop = event.target.closest("[data-drop]")?.dataset.drop;
    if (drop) this.leaveOut(drop);
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

  // ---- macros: their words come into the text, their acts stand below it and run with the answer

  async macros(words) {
    this.fitting ??= (await read(`/api/v1/macros/?interaction=${this.dataset.interaction}&ordering=-uses&page_size=200`)).results;
    const wanted = words.toLowerCase();
    const found = this.fitting.filter((one) => one.name.toLowerCase().includes(wanted) || one.slug.includes(wanted));
    return found.map((one) => ({ ...one, label: one.name, hint: one.slug }));
  }

  async people(words) {
    const { results } = await read(`/api/v1/interactions/${this.dataset.interaction}/callable/?q=${encodeURIComponent(words)}`);
    return results.map((one) => ({ ...one, label: one.name }));
  }

  put(words, from, to) {
    this.text.setRangeText(words, from, to, "end");
    this.changed();
    this.text.focus();
  }

  async useMacro({ id }, from, to) {
    let seen;
    try {
      seen = await post(`/api/v1/macros/${id}/preview/`, { interaction: Number(this.dataset.interaction) });
    } catch (problem) {
      return this.complain(`The macro could not be read: ${problem.message}`);
    }
    const acts = seen.acts.filter((act) => !act.problem);
    this.drafts.reply.macro = { id, name: seen.name, version: seen.version, acts, without: seen.acts.filter((act) => act.problem).map((act) => act.do) };
    this.put(seen.text, from, to);
    this.complain(seen.missing.length ? `No value for ${seen.missing.join(", ")}: write it yourself before you send.` : "");
    const gap = this.text.value.indexOf("{{");
    if (seen.missing.length && gap >= 0) this.text.setSelectionRange(gap, this.text.value.indexOf("}}", gap) + 2);
  }

  drawActs(macro) {
    const place = this.querySelector('[data-part="acts"]');
    place.hidden = !macro;
    if (!macro) return;
    place.querySelector('[data-part="macro"]').textContent = macro.acts.length ? `${macro.name}, with the answer:` : macro.name;
    place.querySelector("ul").replaceChildren(...macro.acts.map((act) => this.act(act)));
  }

  act({ do: name, says }) {
    const chip = document.createElement("li");
    chip.className = "chip";
    const drop = document.createElement("button");
    drop.type = "button";
    drop.dataset.drop = name;
    drop.setAttribute("aria-label", `Leave out: ${says}`);
    drop.append(icon("x"));
    chip.append(says, drop);
    return chip;
  }

  /** Leave one act out, or the whole macro; the words that it brought stay. */
  leaveOut(name) {
    const macro = this.drafts.reply.macro;
    this.drafts.reply.key = newKey();
    if (name === "*") delete this.drafts.reply.macro;
    else Object.assign(macro, { acts: macro.acts.filter((act) => act.do !== name), without: [...macro.without, name] });
    this.keep();
    this.draw();
  }

  complain(message) {
    const error = this.querySelector(".composer__error");
    error.hidden = !message;
    error.querySelector("span").textContent = message;
  }

  async send() {
    const text = this.text.value.trim();
    const button = this.querySelector('[data-testid="send"]');
    const macro = this.mode === "reply" ? this.drafts.reply.macro : null;
    if ((!text && !macro?.acts.length) || button.disabled) return;
    if (this.mode === "reply" && this.limit && [...text].length > this.limit) return this.complain(`Too long for this network: at most ${this.limit} characters.`);
    const mode = this.mode;
    const draft = this.drafts[mode];
    draft.key ??= newKey();
    this.complain("");
    button.disabled = true;
    try {
      const said = mode === "reply" && text ? { text, audience: this.audience } : text ? { text } : {};
      const message = macro
        ? await post(`/api/v1/macros/${macro.id}/use/`, { interaction: Number(this.dataset.interaction), version: macro.version, without: macro.without, ...said }, draft.key)
        : await post(`/api/v1/interactions/${this.dataset.interaction}/${PLACES[mode]}/`, said, draft.key);
      this.sent(mode, draft, macro ? { id: message.message } : message);
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
    if (message?.id) this.dispatchEvent(new CustomEvent("written", { bubbles: true, detail: message.id }));
  }
}

customElements.define("message-composer", MessageComposer);
