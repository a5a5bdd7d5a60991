// <condition-builder>: conditions of a list, AND and OR nested in each other, as fields. `open(described, where, labels)` draws
// them; `value` is what stands there now, in the form that the server reads. Says `apply`.

import { icon } from "../marks.js";
import "./value-picker.js";

const WAYS = { all: "All of these", any: "Any of these", none: "None of these" };
const VALUELESS = ["empty", "filled"];
const LISTS = ["any_of", "none_of", "all_of"];
const DAYS = ["last_days", "next_days"];
const DEEPEST = 4;

const make = (tag, more = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), more);
  node.append(...children);
  return node;
};

function choose(label, options, value) {
  const select = make("select", { className: "select select--small" });
  select.setAttribute("aria-label", label);
  for (const [key, text] of options) select.append(make("option", { value: key, textContent: text, selected: key === value }));
  return select;
}

const button = (text, symbol, act) => {
  const node = make("button", { type: "button", className: "button button--small button--quiet" }, icon(symbol), text);
  node.addEventListener("click", act);
  return node;
};

const groupOf = (where) => {
  const way = Object.keys(where ?? {})[0];
  if (way in WAYS) return where;
  return { all: where && way ? [where] : [] };
};

class ConditionBuilder extends HTMLElement {
  open(described, where) {
    this.described = described;
    this.columns = new Map(described.columns.filter((one) => one.operators.length).map((one) => [one.name, one]));
    this.root = this.group(groupOf(where), 1);
    const apply = make("button", { type: "button", className: "button button--small button--primary", textContent: "Apply" });
    apply.addEventListener("click", () => this.dispatchEvent(new Event("apply")));
    const close = button("Close", "x", () => this.dispatchEvent(new Event("close")));
    this.replaceChildren(this.root, make("div", { className: "builder__foot" }, apply, close));
    this.onkeydown = (event) => {
      if (event.key === "Enter" && event.target.matches("input") && !event.defaultPrevented) this.dispatchEvent(new Event("apply"));
      if (event.key === "Escape" && !event.defaultPrevented) this.dispatchEvent(new Event("close"));
    };
    if (!this.root.parts.children.length) this.add(this.root, this.condition({}));
  }

  get value() {
    return this.root.read() ?? {};
  }

  add(group, row) {
    group.parts.append(row);
    row.querySelector("select, input")?.focus();
  }

  group(where, depth) {
    const [way, parts] = Object.entries(where)[0];
    const select = choose("Which of the conditions", Object.entries(WAYS), way);
    const group = make("fieldset", { className: "builder__group" });
    group.setAttribute("aria-label", "Conditions");
    group.parts = make("div", { className: "builder__parts" });
    group.read = () => {
      const read = [...group.parts.children].map((part) => part.read()).filter(Boolean);
      return read.length ? { [select.value]: read } : null;
    };
    const foot = make("div", { className: "row row--wrap" }, button("Condition", "plus", () => this.add(group, this.condition({}))));
    if (depth < DEEPEST) foot.append(button("Group", "plus", () => this.add(group, this.group({ any: [{}] }, depth + 1))));
    if (depth > 1) foot.append(button("Take the group away", "x", () => group.remove()));
    group.append(select, group.parts, foot);
    for (const part of parts) group.parts.append(Object.keys(part)[0] in WAYS ? this.group(part, depth + 1) : this.condition(part));
    return group;
  }

  condition(said) {
    const row = make("div", { className: "builder__one" });
    const column = choose("Column", [["", "Choose a column…"], ...[...this.columns].map(([name, one]) => [name, one.label])], said.column ?? "");
    const place = make("span", { className: "builder__what" });
    const draw = (op, value) => {
      const one = this.columns.get(column.value);
      place.replaceChildren();
      row.read = () => null;
      if (!one) return;
      const ops = choose("How", one.operators.map((name) => [name, this.described.operators[one.kind][name]]), op);
      let field = this.field(one, ops.value, value);
      const put = () => place.replaceChildren(...[ops, field?.node].filter(Boolean));
      ops.addEventListener("change", () => {
        field = this.field(one, ops.value, field?.read());
        put();
      });
      row.read = () => {
        const read = { column: one.name, op: ops.value };
        if (VALUELESS.includes(ops.value)) return read;
        const given = field.read();
        return given === null || given === "" || (Array.isArray(given) && !given.length) ? null : { ...read, value: given };
      };
      put();
    };
    column.addEventListener("change", () => {
      draw();
      place.querySelector("input, select, button")?.focus();
    });
    draw(said.op, said.value);
    const away = button("", "x", () => row.remove());
    away.classList.add("button--icon");
    away.setAttribute("aria-label", "Take the condition away");
    row.append(column, place, away);
    return row;
  }

  field(column, op, value) {
    if (VALUELESS.includes(op)) return null;
    if (LISTS.includes(op)) return column.choices.length ? this.toggles(column, value) : this.picker(column, value);
    if (column.kind === "boolean") {
      const select = choose("Value", [["true", "yes"], ["false", "no"]], String(value ?? true));
      return { node: select, read: () => select.value === "true" };
    }
    const numeric = column.kind === "number" || DAYS.includes(op);
    const dated = !DAYS.includes(op) && (column.kind === "date" || column.kind === "instant");
    const input = make("input", { className: "input input--small", type: numeric ? "number" : dated ? "date" : "text", maxLength: 200 });
    if (numeric) Object.assign(input, DAYS.includes(op) ? { min: 1, max: 36500, step: 1 } : { step: "any" });
    input.setAttribute("aria-label", DAYS.includes(op) ? "Days" : "Value");
    const fits = typeof value === (numeric ? "number" : "string");
    if (fits) input.value = dated ? value.slice(0, 10) : value;
    const node = DAYS.includes(op) ? make("span", { className: "row" }, input, make("span", { className: "small quiet", textContent: "days" })) : input;
    return { node, read: () => (numeric ? (input.value === "" ? null : Number(input.value)) : input.value.trim()) };
  }

  toggles(column, value) {
    const chosen = new Set(Array.isArray(value) ? value : []);
    const node = make("span", { className: "chips" });
    node.setAttribute("role", "group");
    node.setAttribute("aria-label", column.label);
    for (const one of column.choices) {
      const chip = make("button", { type: "button", className: "chip", textContent: one.label });
      const press = () => chip.setAttribute("aria-pressed", String(chosen.has(one.value)));
      chip.addEventListener("click", () => {
        if (!chosen.delete(one.value)) chosen.add(one.value);
        press();
      });
      press();
      node.append(chip);
    }
    return { node, read: () => [...chosen] };
  }

  picker(column, value) {
    const node = document.createElement("value-picker");
    node.setAttribute("noun", this.described.noun);
    node.setAttribute("column", column.name);
    node.setAttribute("label", column.label);
    if (column.name === "owner") node.extra = [{ value: "me", label: "Me" }];
    if (column.name === "team") node.extra = [{ value: "me", label: "My team" }];
    const named = this.described.names?.[column.name] ?? {};
    node.values = (Array.isArray(value) ? value : []).map(
      (one) => node.extra.find((extra) => extra.value === one) ?? { value: one, label: named[one] ?? String(one) },
    );
    return { node, read: () => node.values.map((one) => one.value) };
  }
}

customElements.define("condition-builder", ConditionBuilder);
