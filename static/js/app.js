// What every page of the workspace has: keys, palette, theme, menus, times, presence.

import "./connection.js";
import "./keyboard.js";
import "./palette.js";
import "./elements/notice-bell.js";
import "./elements/relative-time.js";
import "./elements/presence-switch.js";

document.addEventListener("click", (event) => {
  const choice = event.target.closest("[data-theme-choice]")?.dataset.themeChoice;
  if (choice) {
    localStorage.setItem("theme", choice);
    document.documentElement.dataset.theme = choice;
    document.dispatchEvent(new CustomEvent("theme"));
  }
  if (event.target.closest('[data-act="palette"]')) document.dispatchEvent(new CustomEvent("palette"));
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target) || event.target.closest(".menu__list")) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

document.querySelector('[data-go="?"]')?.addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("keysheet").showModal();
});
