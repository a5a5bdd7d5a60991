// <value-picker>: some values chosen by name: chips, a field to type in, and what the server offers for it.
// Attributes: noun, column, label; `single` for at most one. Property `values`: [{value, label}]. Says `change`.

import { read } from "../http.js";
import { icon } from "../marks.js";

const PAUSE = 200;
let numbers = 0;

class ValuePicker extends HTMLElement {
  values = [];
  extra = []; // offered besides: [{value, label}]

  connectedCallback() {
    if (this.input) return;
    const list = `values-${++numbers}`;
    this.chips = document.createElement("span");
    this.chips.className = "chips";
    this.input = document.createElement("input");
    Object.assign(this.input, { className: "input input--small", type: "text", autocomplete: "off", maxLength: 200, placeholder: "Type a name" });
    const attributes = { role: "combobox", "aria-expanded": "false", "aria-controls": list, "aria-autocomplete": "list", "aria-label": this.getAttribute("label") ?? "Value" };
    for (const [name, value] of Object.entries(attributes)) this.input.setAttribute(name, value);
    this.list = document.createElement("ul");
    this.list.id = list;
    this.list.className = "picker__list";
    this.list.setAttribute("role", "listbox");
    this.list.setAttribute("aria-label", "Choices");
    this.list.hidden = true;
    this.append(this.chips, this.input, this.list);
    this.input.addEventListener("focus", () => this.look());
    this.input.addEventListener("input", () => {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.look(), PAUSE);
    });
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.addEventListener("focusout", (event) => this.contains(event.relatedTarget) || this.close());
    this.list.addEventListener("mousedown", (event) => event.preventDefault());
    this.list.addEventListener("click", (event) => this.take(event.target.closest("li")));
    this.draw();
  }

  async look() {
    const words = this.input.value.trim();
    const path = `/api/v1/lists/${this.getAttribute("noun")}/choices/?column=${encodeURIComponent(this.getAttribute("column"))}&search=${encodeURIComponent(words)}`;
    const found = await read(path).then((answer) => answer.results, () => []);
    if (words !== this.input.value.trim()) return;
    const extra = this.extra.filter((one) => one.label.toLowerCase().includes(words.toLowerCase()));
    const offered = [...extra, ...found].filter((one) => !this.values.some((has) => has.value === one.value));
    this.list.replaceChildren(...offered.map((one, place) => option(one, place === 0)));
    this.list.hidden = !offered.length || document.activeElement !== this.input;
    this.input.setAttribute("aria-expanded", String(!this.list.hidden));
  }

  key(event) {
    const here = this.list.querySelector('[aria-selected="true"]');
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      const next = event.key === "ArrowDown" ? here?.nextElementSibling : here?.previousElementSibling;
      if (!next) return;
      here.setAttribute("aria-selected", "false");
      next.setAttribute("aria-selected", "true");
      next.scrollIntoView({ block: "nearest" });
    } else if (event.key === "Enter" && !this.list.hidden) {
      event.preventDefault();
      this.take(here);
    } else if (event.key === "Escape" && !this.list.hidden) {
      event.preventDefault();
      event.stopPropagation();
      this.close();
    } else if (event.key === "Backspace" && !this.input.value && this.values.length) {
      this.values.pop();
      this.changed();
    }
  }

  take(row) {
    if (!row) return;
    this.values = this.hasAttribute("single") ? [row.choice] : [...this.values, row.choice];
    this.input.value = "";
    this.close();
    this.changed();
  }

  close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
  }

  changed() {
    this.draw();
    this.dispatchEvent(new Event("change", { bubbles: true }));
  }

  draw() {
    this.chips.replaceChildren(
      ...this.values.map((one) => {
        const chip = document.createElement("button");
        chip.type = "button";
        chip.className = "chip chip--on";
        chip.setAttribute("aria-label", `${one.label}: take away`);
        chip.append(one.label, icon("x"));
        chip.addEventListener("click", () => {
          this.values = this.values.filter((other) => other !== one);
          this.changed();
          this.input.focus();
        });
        return chip;
      }),
    );
  }
}

function option(choice, first) {
  const row = document.createElement("li");
  row.setAttribute("role", "option");
  row.setAttribute("aria-selected", String(first));
  row.textContent = choice.label;
  row.choice = choice;
  return row;
}

customElements.define("value-picker", ValuePicker);
