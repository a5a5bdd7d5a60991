// Keys of the whole product. What a page does with a key it hears as a `key` event on the document.

const TYPING = "input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]";
let going = false;

function isTyping(target) {
  return target.closest?.(TYPING) || document.querySelector("dialog[open]");
}

function move(step) {
  const rows = [...document.querySelectorAll("[data-row], .work")].filter((row) => row.offsetParent);
  if (!rows.length) return false;
  const at = rows.findIndex((row) => row.contains(document.activeElement) || row.matches('[aria-selected="true"], [aria-current="true"]'));
  const row = rows[Math.max(0, Math.min(rows.length - 1, at + step))];
  (row.matches("button, [tabindex]") ? row : (row.querySelector("a") ?? row)).focus();
  row.scrollIntoView({ block: "nearest" });
  return true;
}

function go(key) {
  going = false;
  document.querySelector(`[data-go="${CSS.escape(key)}"]`)?.click();
}

const GLOBAL = {
  "/": () => document.querySelector('[data-key="/"]')?.focus(),
  "?": () => document.getElementById("keysheet")?.showModal(),
  j: () => move(1),
  k: () => move(-1),
  g: () => {
    going = true;
    setTimeout(() => (going = false), 1200);
  },
};

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    document.dispatchEvent(new CustomEvent("palette"));
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || isTyping(event.target)) return;
  if (localStorage.getItem("keys") === "off" && event.key !== "?") return;
  if (going && event.key.length === 1) return go(event.key);
  const act = GLOBAL[event.key];
  if (act) {
    event.preventDefault();
    act();
  } else if (event.key.length === 1 && !event.repeat) {
    const heard = new CustomEvent("key", { detail: event.key, cancelable: true });
    if (!document.dispatchEvent(heard)) event.preventDefault();
  }
});
