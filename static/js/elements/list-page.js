// <list-page>: counts beside views, columns in another order, conditions, views to keep, rows to choose, cells to edit.

import { Problem, read, send } from "../http.js";
import { toast } from "../marks.js";
import "./bulk-edit.js";
import { editCells } from "./cell-editor.js";
import "./condition-builder.js";

const json = (id) => JSON.parse(document.getElementById(id).textContent);

class ListPage extends HTMLElement {
  connectedCallback() {
    this.noun = this.dataset.noun;
    this.learn();
    // What a search left is what an edit of all rows and a file are about.
    document.addEventListener("htmx:afterSettle", () => this.learn());
    this.builder = this.querySelector("condition-builder");
    this.saving = this.querySelector('[data-part="save"]');
    this.builder.addEventListener("apply", () => this.narrow(this.builder.value));
    this.builder.addEventListener("close", () => this.conditions(false));
    this.addEventListener("click", (event) => this.clicked(event));
    this.saving.querySelector("form").addEventListener("submit", (event) => this.save(event));
    document.addEventListener("key", (event) => this.key(event));
    this.editRow = editCells(this);
    this.count();
  }

  learn() {
    this.described = json("list-described");
    this.where = json("list-where");
    this.querySelector('[data-part="export"]')?.setAttribute("href", this.described.export);
  }

  async count() {
    const found = await read(`/api/v1/lists/${this.noun}/counts/`).catch(() => null);
    for (const place of found ? this.querySelectorAll("[data-count]") : []) {
      const count = found.counts[place.dataset.count];
      if (count === undefined || count === null) continue;
      place.textContent = count > found.limit ? `${found.limit.toLocaleString("en")}+` : count.toLocaleString("en");
    }
  }

  clicked(event) {
    const act = event.target.closest("[data-act]")?.dataset.act;
    const move = event.target.closest("[data-move]");
    if (act === "conditions") this.conditions(this.builder.hidden);
    if (act === "save-view") this.saving.showModal();
    if (act === "delete-view") this.forget();
    if (act === "new") this.querySelector('[data-part="new"]').showModal();
    if (event.target.closest("[data-close]")) event.target.closest("dialog").close();
    if (move) this.move(move);
    // A menu closes at a click on one of its acts; this one is a form.
    if (event.target.closest(".columns__list") && !event.target.closest('[data-act="show-columns"]')) event.stopPropagation();
  }

  key(event) {
    const acts = { f: () => this.conditions(this.builder.hidden), s: () => this.saving.showModal(), "[": () => this.tab(-1), "]": () => this.tab(1) };
    const row = document.activeElement?.closest("[data-row]");
    const box = row?.querySelector("[data-choose]");
    if (box) Object.assign(acts, { x: () => box.click(), e: () => this.editRow(row) });
    if (this.querySelector("bulk-edit")) acts.b = () => this.querySelector("bulk-edit").open();
    if (!acts[event.detail]) return;
    event.preventDefault();
    acts[event.detail]();
  }

  tab(step) {
    const tabs = [...this.querySelectorAll(".tabs a")];
    tabs[tabs.findIndex((one) => one.getAttribute("aria-current")) + step]?.click();
  }

  conditions(visible) {
    const button = this.querySelector('[data-act="conditions"]');
    if (visible) this.builder.open(this.described, this.where);
    this.builder.hidden = !visible;
    button.setAttribute("aria-expanded", String(visible));
    if (visible) this.builder.querySelector("select")?.focus();
    else button.focus();
  }

  /** The same list with other conditions; the server reads them again. */
  narrow(where) {
    const url = new URL(location.href);
    url.searchParams.delete("cursor");
    url.searchParams.set("where", JSON.stringify(where));
    location.assign(url);
  }

  move(button) {
    const row = button.closest("li");
    if (button.dataset.move === "1") row.nextElementSibling?.after(row);
    else row.previousElementSibling?.before(row);
    button.focus();
  }

  async save(event) {
    event.preventDefault();
    const form = event.target;
    const problem = form.querySelector('[role="alert"]');
    problem.hidden = true;
    const view = {
      name: form.elements.name.value, sharing: form.elements.sharing.value, where: this.where, ordering: this.described.ordered,
      columns: this.described.columned,
    };
    const same = event.submitter?.value === "same";
    try {
      const kept = same ? await send("PATCH", `/api/v1/views/${this.dataset.view}/`, view) : await send("POST", "/api/v1/views/", { ...view, noun: this.noun });
      location.assign(`?view=${kept.id}`);
    } catch (error) {
      problem.textContent = error instanceof Problem ? error.message : "The server could not be reached. Try again.";
      problem.hidden = false;
    }
  }

  async forget() {
    try {
      await send("POST", `/api/v1/views/${this.dataset.view}/remove/`);
      location.assign(location.pathname);
    } catch (error) {
      toast(`The view was not deleted: ${error.message}`, "bad");
    }
  }
}

customElements.define("list-page", ListPage);
