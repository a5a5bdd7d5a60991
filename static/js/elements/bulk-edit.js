// <bulk-edit>: rows that were chosen, and one edit for all of them, which the server previews before anything is changed.

import { Problem, send } from "../http.js";
import { icon } from "../marks.js";
import { valueField } from "../value-field.js";

const TAGS = [
  ["add_tags", "Add tags"],
  ["remove_tags", "Take tags away"],
];

class BulkEdit extends HTMLElement {
  connectedCallback() {
    this.page = this.closest("list-page");
    this.dialog = this.querySelector("dialog");
    this.all = false;
    this.page.addEventListener("change", (event) => this.ticked(event));
    this.addEventListener("click", (event) => this.clicked(event));
    this.querySelector("form").addEventListener("submit", (event) => this.preview(event));
    document.addEventListener("htmx:afterSettle", () => this.draw());
    this.draw();
  }

  get boxes() {
    return [...this.page.querySelectorAll("[data-choose]")];
  }

  get chosen() {
    return this.boxes.filter((box) => box.checked);
  }

  ticked(event) {
    if (event.target.matches("[data-choose-all]")) for (const box of this.boxes) box.checked = event.target.checked;
    if (event.target.matches("[data-choose], [data-choose-all]")) {
      this.all = false;
      this.draw();
    }
  }

  clicked(event) {
    const act = event.target.closest("[data-bulk]")?.dataset.bulk;
    if (act === "edit") this.open();
    if (act === "more") this.add();
    if (act === "close") this.dialog.close();
    if (act === "all") this.all = true;
    if (act === "none") {
      this.all = false;
      for (const box of this.boxes) box.checked = false;
    }
    if (act === "all" || act === "none") this.draw();
  }

  draw() {
    const count = this.chosen.length;
    this.querySelector('[data-part="bar"]').hidden = !count;
    this.querySelector('[data-part="count"]').textContent = this.all ? "All that fit are chosen" : `${count} chosen`;
    this.querySelector('[data-bulk="all"]').hidden = this.all || count < this.boxes.length;
    const whole = this.page.querySelector("[data-choose-all]");
    if (whole) Object.assign(whole, { checked: count > 0 && count === this.boxes.length, indeterminate: count > 0 && count < this.boxes.length });
    for (const box of this.boxes) box.closest("[data-row]").classList.toggle("is-chosen", box.checked);
  }

  open() {
    if (!this.chosen.length) return;
    this.changes = [];
    this.querySelector('[data-part="changes"]').replaceChildren();
    this.querySelector("[role=alert]").hidden = true;
    this.querySelector("h2").textContent = this.all ? "Change all that fit" : `Change ${this.chosen.length} ${this.page.dataset.noun}`;
    this.add();
    this.dialog.showModal();
    this.querySelector("select").focus();
  }

  add() {
    const row = document.createElement("div");
    row.className = "builder__one";
    const what = document.createElement("select");
    what.className = "select select--small";
    what.setAttribute("aria-label", "What changes");
    const place = document.createElement("span");
    place.className = "builder__what";
    const offered = this.page.described.columns.filter((one) => one.edited);
    for (const [value, label] of offered.flatMap((one) => (one.name === "tags" ? TAGS : [[one.name, one.label]]))) what.append(new Option(label, value));
    const change = {};
    const draw = () => {
      const tags = TAGS.some(([name]) => name === what.value);
      const field = valueField(this.page.dataset.noun, offered.find((one) => one.name === (tags ? "tags" : what.value)));
      place.replaceChildren(field.node);
      change.read = () => ({ [what.value]: field.read() });
      if (what.value === "priority") {
        const why = Object.assign(document.createElement("input"), { className: "input input--small", placeholder: "Why", maxLength: 200, required: true });
        why.setAttribute("aria-label", "Why this priority");
        place.append(why);
        change.read = () => ({ priority: field.read(), priority_reason: why.value });
      }
    };
    what.addEventListener("change", draw);
    draw();
    const away = Object.assign(document.createElement("button"), { type: "button", className: "button button--small button--quiet button--icon" });
    away.setAttribute("aria-label", "Take this change away");
    away.append(icon("x"));
    away.addEventListener("click", () => {
      this.changes = this.changes.filter((one) => one !== change);
      row.remove();
    });
    this.changes.push(change);
    row.append(what, place, away);
    this.querySelector('[data-part="changes"]').append(row);
  }

  async preview(event) {
    event.preventDefault();
    const problem = this.querySelector("[role=alert]");
    problem.hidden = true;
    const body = { noun: this.page.dataset.noun, change: Object.assign({}, ...this.changes.map((one) => one.read())) };
    if (this.all) body.filters = this.page.described.filters;
    else body.ids = this.chosen.map((box) => Number(box.value));
    try {
      const made = await send("POST", "/api/v1/bulks/", body);
      location.assign(`/bulks/${made.id}/`);
    } catch (error) {
      problem.textContent = error instanceof Problem ? error.message : "The server could not be reached. Try again.";
      problem.hidden = false;
    }
  }
}

customElements.define("bulk-edit", BulkEdit);
