// Cells edited in place. `editCells(page)`: a pencil where the pointer is, `e` on a row; the value goes out with the version that
// was read, so that nobody's change is written over, and the row is drawn again by the server.

import { fragment, read, readVersion, sendVersion } from "../http.js";
import { icon, toast } from "../marks.js";
import { valueField } from "../value-field.js";

export function editCells(page) {
  const pencil = Object.assign(document.createElement("button"), { type: "button", className: "pencil" });
  pencil.append(icon("pencil"));
  const place = (cell) => {
    if (!cell || cell.querySelector(".celledit")) return;
    pencil.setAttribute("aria-label", `Edit ${cell.dataset.label.toLowerCase()}`);
    if (pencil.parentElement !== cell) cell.append(pencil);
  };
  page.addEventListener("pointerover", (event) => place(event.target.closest("td[data-edit]")));
  page.addEventListener("dblclick", (event) => {
    const cell = event.target.closest("td[data-edit]");
    if (cell && !event.target.closest("a, button, form")) open(page, cell);
  });
  pencil.addEventListener("click", () => open(page, pencil.closest("td")));
  pencil.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const cells = [...pencil.closest("tr").querySelectorAll("td[data-edit]")];
    place(cells[cells.indexOf(pencil.closest("td")) + step]);
    pencil.focus();
  });
  return (row) => {
    place(row?.querySelector("td[data-edit]"));
    if (row?.contains(pencil)) pencil.focus();
  };
}

async function open(page, cell) {
  const row = cell.closest("tr");
  const column = page.described.columns.find((one) => one.name === cell.dataset.edit);
  const path = `/api/v1/${page.dataset.noun}/${row.dataset.id}/`;
  try {
    const { body, version } = await readVersion(path);
    const field = valueField(page.dataset.noun, column, await now(page, column, body, cell));
    draw(page, cell, column, field, (value) => sendVersion(path, value, version));
  } catch (error) {
    toast(`It could not be read: ${error.message}`, "bad");
  }
}

async function now(page, column, body, cell) {
  if (column.name.startsWith("fields.")) {
    const value = body.fields[column.name.slice(7)];
    return column.kind === "many" ? (value ?? []).map((one) => ({ value: one, label: String(one) })) : value;
  }
  const value = body[column.name];
  if (column.name === "tags") {
    const known = await read(`/api/v1/lists/${page.dataset.noun}/choices/?column=tags`).then((answer) => answer.results, () => []);
    return value.map((slug) => known.find((one) => one.value === slug) ?? { value: slug, label: slug });
  }
  return column.refers ? (value === null ? [] : [{ value, label: cell.textContent.trim() }]) : value;
}

function draw(page, cell, column, field, write) {
  const form = Object.assign(document.createElement("form"), { className: "celledit" });
  form.setAttribute("aria-label", column.label);
  const save = Object.assign(document.createElement("button"), { className: "button button--small button--primary", textContent: "Save" });
  const cancel = Object.assign(document.createElement("button"), { type: "button", className: "button button--small button--quiet", textContent: "Cancel" });
  const problem = Object.assign(document.createElement("p"), { className: "field__error", hidden: true });
  problem.setAttribute("role", "alert");
  const why = column.name === "priority" && Object.assign(document.createElement("input"), { className: "input input--small", placeholder: "Why", maxLength: 200 });
  if (why) why.setAttribute("aria-label", "Why this priority");
  form.append(field.node, ...(why ? [why] : []), save, cancel, problem);
  const close = () => {
    form.leave();
    form.remove();
    (cell.closest("tr")?.querySelector("a") ?? page).focus();
  };
  cancel.addEventListener("click", close);
  form.addEventListener("keydown", (event) => {
    if (event.defaultPrevented) return;
    if (event.key === "Escape") close();
    // A select does not send its form by itself.
    if (event.key === "Enter" && event.target.matches("select")) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    save.disabled = true;
    problem.hidden = true;
    try {
      await write(await change(column, field.read(), why?.value));
      form.leave();
      await renew(page, cell.closest("tr"));
      toast(`${column.label}: saved.`, "good");
    } catch (error) {
      save.disabled = false;
      problem.textContent = error.status === 412 ? "Somebody changed it since. Close this and look again." : error.message;
      problem.hidden = false;
    }
  });
  cell.append(form);
  const stand = () => beside(form, cell);
  stand();
  document.addEventListener("scroll", stand, { capture: true, passive: true });
  form.leave = () => document.removeEventListener("scroll", stand, { capture: true });
  (field.node.matches("input, select") ? field.node : field.node.querySelector("input")).focus();
}

/** Over its cell, inside the window; on a phone the style sheet puts it at the bottom. */
function beside(form, cell) {
  if (innerWidth <= 720) return;
  const place = cell.getBoundingClientRect();
  form.style.left = `${Math.max(8, Math.min(place.left, innerWidth - form.offsetWidth - 12))}px`;
  form.style.top = `${place.top - 4}px`;
}

async function change(column, value, why) {
  if (column.name.startsWith("fields.")) return { fields: { [column.name.slice(7)]: value } };
  if (column.name === "priority") return { priority: value, priority_reason: why };
  if (column.name === "team" && typeof value === "number") return { team: (await read(`/api/v1/teams/${value}/`)).slug };
  return { [column.name]: value };
}

/** The row as the server draws it now; one that fits the list no more stays, and says so. */
async function renew(page, row) {
  const html = await fragment(location.pathname + location.search);
  const fresh = new DOMParser().parseFromString(html, "text/html").querySelector(`tr[data-id="${row.dataset.id}"]`);
  if (!fresh) {
    row.querySelector(".celledit")?.remove();
    row.classList.add("is-stale");
    row.title = "It does not fit this list any more.";
    return;
  }
  const ticked = row.querySelector("[data-choose]")?.checked;
  const adopted = document.adoptNode(fresh);
  row.replaceWith(adopted);
  if (ticked) adopted.querySelector("[data-choose]").checked = true;
  adopted.querySelector("a")?.focus();
}
