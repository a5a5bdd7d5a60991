// A form that calls the REST door named by its action: `data-method` (POST), fields by name, then the page is read again.
// `data-then` is where to go instead; `{id}` in it stands for the answer's id.

import { Problem, send } from "../http.js";

const VALUES = {
  checkbox: (field) => field.checked,
  number: (field) => (field.value === "" ? null : Number(field.value)),
  "datetime-local": (field) => (field.value ? new Date(field.value).toISOString() : null),
};

function body(form, button) {
  const data = {};
  for (const field of form.elements) {
    if (!field.name || field.disabled || (field.type === "radio" && !field.checked)) continue;
    if (field.type === "submit" && field !== button) continue;
    data[field.name] = field.dataset.json === undefined ? (VALUES[field.type]?.(field) ?? field.value) : JSON.parse(field.value);
    if (VALUES[field.type]?.(field) === null) data[field.name] = null;
  }
  return data;
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("form[data-api]")) return;
  event.preventDefault();
  const button = event.submitter;
  const problem = form.querySelector('[role="alert"]');
  if (problem) problem.hidden = true;
  if (button) button.disabled = true;
  try {
    const answer = await send(form.dataset.method ?? "POST", form.getAttribute("action"), body(form, button));
    location.assign(form.dataset.then ? form.dataset.then.replace("{id}", answer?.id ?? "") : location.pathname + location.search);
  } catch (error) {
    if (button) button.disabled = false;
    if (!problem) throw error;
    problem.textContent = error instanceof Problem ? error.message : "The server could not be reached. Try again.";
    problem.hidden = false;
  }
});
