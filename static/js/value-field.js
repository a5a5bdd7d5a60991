// One field for a new value of a column, by what the column holds. `read()` is the value as REST takes it; empty is null.

import "./elements/value-picker.js";

const make = (tag, more = {}) => Object.assign(document.createElement(tag), more);

function picker(noun, column, values, single) {
  const node = document.createElement("value-picker");
  node.setAttribute("noun", noun);
  node.setAttribute("column", column.name);
  node.setAttribute("label", column.label);
  if (single) node.setAttribute("single", "");
  node.values = values;
  return node;
}

function select(column, options, value) {
  const node = make("select", { className: "select select--small" });
  node.setAttribute("aria-label", column.label);
  for (const [key, text] of options) node.append(make("option", { value: key, textContent: text, selected: key === String(value ?? "") }));
  return node;
}

/** `values`: what stands there now, for pickers [{value, label}], else as it is kept. */
export function valueField(noun, column, values) {
  if (column.kind === "many") {
    const node = picker(noun, column, values ?? [], false);
    return { node, read: () => node.values.map((one) => one.value) };
  }
  if (column.refers) {
    const node = picker(noun, column, values ?? [], true);
    return { node, read: () => node.values[0]?.value ?? null };
  }
  if (column.kind === "choice") {
    const own = column.name.startsWith("fields.");
    const node = select(column, [...(own ? [["", "–"]] : []), ...column.choices.filter((one) => one.value !== "folded").map((one) => [one.value, one.label])], values);
    return { node, read: () => node.value || null };
  }
  if (column.kind === "boolean") {
    const own = column.name.startsWith("fields.");
    const node = select(column, [...(own ? [["", "–"]] : []), ["true", "yes"], ["false", "no"]], values ?? (own ? "" : "true"));
    return { node, read: () => (node.value === "" ? null : node.value === "true") };
  }
  const node = make("input", { className: "input input--small", type: { number: "number", date: "date" }[column.kind] ?? "text", maxLength: 1000, step: "any" });
  node.setAttribute("aria-label", column.label);
  node.value = values ?? "";
  return { node, read: () => (node.value.trim() === "" ? null : column.kind === "number" ? Number(node.value) : node.value.trim()) };
}
