// Ctrl-K: every place and act of the page by name.

import { read } from "./http.js";
import { icon } from "./marks.js";

const dialog = document.getElementById("palette");
const input = dialog.querySelector("input");
const list = dialog.querySelector("ul");
let shown = [];
let at = 0;
let hits = [];
let pause = 0;

function setting(name, on, off) {
  const isOff = localStorage.getItem(name) === "off";
  return { label: isOff ? on : off, icon: "settings", run: () => localStorage.setItem(name, isOff ? "on" : "off") };
}

/** What a button is called, its key apart; a change of presence says so. */
function named(button) {
  const words = button.cloneNode(true);
  const key = words.querySelector("kbd")?.textContent;
  words.querySelectorAll("kbd").forEach((part) => part.remove());
  const label = words.textContent.trim().replace(/\s+/g, " ");
  const state = Boolean(button.closest("presence-switch"));
  return { label: state ? `Presence: ${label}` : label, key, state };
}

function commands(text) {
  const places = [...document.querySelectorAll(".rail [data-go]")].map((link) => ({
    label: `Go to ${link.getAttribute("aria-label")}`, icon: "arrow-right", key: `g ${link.dataset.go}`.replace("g ?", "?"), run: () => link.click(),
  }));
  const acts = [...document.querySelectorAll("main [data-act], main [data-mode], presence-switch button")]
    .filter((button) => (button.offsetParent || button.closest("presence-switch")) && button.tagName === "BUTTON" && button.textContent.trim())
    .map((button) => ({ ...named(button), icon: "zap", run: () => button.click() }));
  const [states, here] = [acts.filter(({ state }) => state), acts.filter(({ state }) => !state)];
  const themes = [...document.querySelectorAll("[data-theme-choice]")].map((button) => ({
    label: `Theme: ${button.textContent.trim()}`, icon: "sun-moon", run: () => button.click(),
  }));
  const settings = [setting("sound", "Turn the offer sound on", "Turn the offer sound off"), setting("keys", "Turn single keys on", "Turn single keys off")];
  const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = [...here, ...places, ...states, ...themes, ...settings].filter(({ label }) => wanted.every((word) => label.toLowerCase().includes(word)));
  return text ? [...found, ...searches(text)] : found;
}

function searches(text) {
  const words = encodeURIComponent(text);
  return [
    ...hits.map(({ label, icon: symbol, url }) => ({ label, icon: symbol, run: () => location.assign(url) })),
    { label: `Search everything for “${text}”`, icon: "search", run: () => location.assign(`/search/?q=${words}`) },
    { label: `Search mentions for “${text}”`, icon: "search", run: () => location.assign(`/mentions/?search=${words}`) },
  ];
}

const SYMBOLS = { customers: "users", tickets: "ticket", messages: "message-square" };
const PLACES = { customers: "/customers/", tickets: "/tickets/", messages: "/interactions/" };

// What is found is shown as soon as it comes, unless more was typed meanwhile.
async function look(text) {
  const found = text.length < 2 ? {} : await read(`/api/v1/search/?q=${encodeURIComponent(text)}`).catch(() => ({}));
  if (!dialog.open || input.value.trim() !== text) return;
  hits = Object.keys(SYMBOLS).flatMap((kind) => (found[kind] ?? []).slice(0, 5).map((hit) => ({
    label: hit.matched && hit.matched !== hit.title ? `${hit.title} · ${hit.matched.slice(0, 70)}` : hit.title, icon: SYMBOLS[kind], url: `${PLACES[kind]}${hit.id}/`,
  })));
  draw();
}

function draw() {
  shown = commands(input.value.trim());
  at = Math.min(at, Math.max(0, shown.length - 1));
  list.replaceChildren(
    ...shown.map((command, index) => {
      const item = document.createElement("li");
      item.id = `command-${index}`;
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", String(index === at));
      item.append(icon(command.icon), command.label);
      if (command.key) item.append(Object.assign(document.createElement("kbd"), { textContent: command.key }));
      item.onclick = () => run(index);
      return item;
    }),
  );
  input.setAttribute("aria-activedescendant", shown.length ? `command-${at}` : "");
  list.children[at]?.scrollIntoView({ block: "nearest" });
}

function run(index) {
  dialog.close();
  shown[index]?.run();
}

input.addEventListener("input", () => {
  at = 0;
  hits = [];
  draw();
  clearTimeout(pause);
  pause = setTimeout(() => look(input.value.trim()), 150);
});
input.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) {
    event.preventDefault();
    at = (at + step + shown.length) % Math.max(1, shown.length);
    draw();
  } else if (event.key === "Enter") {
    event.preventDefault();
    run(at);
  }
});

document.addEventListener("palette", () => {
  if (dialog.open) return dialog.close();
  input.value = "";
  at = 0;
  hits = [];
  dialog.showModal();
  draw();
});
