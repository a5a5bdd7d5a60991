// What opens in the composer at a sign: `/` the macros that fit, `@` the colleagues a note may call. All by keys.

const WAIT = 120; // ms of rest before the server is asked

export class ComposerMenu {
  /** `triggers`: sign → {when(), load(words) → [{label, hint, ...}], choose(item, from, to), empty}. */
  constructor(text, list, triggers) {
    Object.assign(this, { text, list, triggers, items: [], at: 0, open: null, asked: 0 });
    text.setAttribute("aria-controls", list.id);
    text.setAttribute("aria-autocomplete", "list");
    text.addEventListener("input", () => this.look());
    text.addEventListener("keydown", (event) => this.key(event), true);
    text.addEventListener("blur", () => setTimeout(() => document.activeElement !== text && this.close(), 150));
    list.addEventListener("pointerdown", (event) => event.preventDefault()); // the text keeps the focus
    list.addEventListener("click", (event) => {
      const row = event.target.closest("[role=option]");
      if (row) this.choose(Number(row.dataset.place));
    });
  }

  /** The sign before the caret with what was typed after it, if it begins a word. */
  word() {
    const before = this.text.value.slice(0, this.text.selectionStart);
    for (const [sign, trigger] of Object.entries(this.triggers)) {
      const found = before.match(sign === "/" ? /(?:^|\s)\/([^\s/]{0,40})$/ : /(?:^|[\s(])@([^\n@]{0,40})$/);
      if (found && trigger.when()) return { sign, words: found[1], from: before.length - found[1].length - 1, to: before.length };
    }
    return null;
  }

  look() {
    clearTimeout(this.timer);
    const open = this.word();
    if (!open) return this.close();
    this.open = open;
    this.timer = setTimeout(() => this.load(), this.items.length ? WAIT : 0);
  }

  /** Opened by a button: nothing was typed, nothing is replaced. */
  openAt(sign) {
    this.text.focus();
    const place = this.text.selectionStart;
    this.open = { sign, words: "", from: place, to: place };
    this.load();
  }

  async load() {
    const open = this.open;
    const asked = ++this.asked;
    const items = await this.triggers[open.sign].load(open.words).catch(() => []);
    if (asked !== this.asked || this.open !== open) return;
    this.items = items;
    this.at = 0;
    if (!items.length && open.sign === "@") return this.close();
    this.draw();
  }

  draw() {
    const empty = document.createElement("li");
    empty.className = "suggest__empty";
    empty.textContent = this.triggers[this.open.sign].empty;
    this.list.replaceChildren(...(this.items.length ? this.items.map((item, place) => this.row(item, place)) : [empty]));
    this.list.hidden = false;
    this.text.setAttribute("aria-expanded", "true");
    this.mark();
  }

  row(item, place) {
    const row = document.createElement("li");
    row.id = `${this.list.id}-${place}`;
    row.dataset.place = place;
    row.setAttribute("role", "option");
    const label = document.createElement("bdi");
    label.textContent = item.label;
    const hint = document.createElement("span");
    hint.className = "suggest__hint";
    hint.textContent = item.hint ?? "";
    row.append(label, hint);
    return row;
  }

  mark() {
    for (const row of this.list.children) row.setAttribute("aria-selected", String(Number(row.dataset.place) === this.at));
    const chosen = this.list.children[this.at];
    if (!chosen?.id) return;
    this.text.setAttribute("aria-activedescendant", chosen.id);
    chosen.scrollIntoView({ block: "nearest" });
  }

  key(event) {
    if (this.list.hidden) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && this.items.length) this.at = (this.at + step + this.items.length) % this.items.length;
    else if (event.key === "Escape") this.close();
    else if (["Enter", "Tab"].includes(event.key) && !event.ctrlKey && !event.metaKey && this.items.length) this.choose(this.at);
    else return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (step) this.mark();
  }

  choose(place) {
    const { sign, from, to } = this.open;
    const item = this.items[place];
    this.close();
    this.triggers[sign].choose(item, from, to);
  }

  close() {
    clearTimeout(this.timer);
    this.asked += 1;
    this.open = null;
    this.items = [];
    this.list.hidden = true;
    this.text.removeAttribute("aria-activedescendant");
    this.text.setAttribute("aria-expanded", "false");
  }
}
