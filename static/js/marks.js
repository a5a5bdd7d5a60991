// Small drawing helpers. Text from outside enters the page only as textContent.

const SVG = "http://www.w3.org/2000/svg";
const CHANNEL_ICONS = { email: "mail", chat: "message-circle", phone: "phone", sms: "smartphone", fax: "printer", webhook: "webhook" };
const NETWORKS = ["x", "facebook", "instagram", "youtube", "mastodon", "bluesky", "reddit"];

export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.classList.add("icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `${document.documentElement.dataset.icons}#${name}`);
  svg.append(use);
  return svg;
}

export function channelMark(kind) {
  const known = NETWORKS.includes(kind) || kind in CHANNEL_ICONS ? kind : "webhook";
  const mark = document.createElement("span");
  mark.className = `mark mark--${known}`;
  mark.title = known;
  mark.setAttribute("role", "img");
  mark.setAttribute("aria-label", known);
  mark.append(icon(CHANNEL_ICONS[known] ?? `net-${known}`));
  return mark;
}

export const words = (code) => String(code ?? "").replaceAll("_", " ");
export const idOf = (thing) => (thing && typeof thing === "object" ? thing.id : thing) ?? null;

export function stamp(template) {
  return template.content.firstElementChild.cloneNode(true);
}

/** Put values into the places named by data-fill; a node replaces what stands there, null empties it. */
export function fill(root, values) {
  for (const [name, value] of Object.entries(values)) {
    const place = root.querySelector(`[data-fill="${name}"]`);
    if (!place) continue;
    if (value instanceof Node) place.replaceChildren(value);
    else if (place.textContent !== String(value ?? "")) place.textContent = value ?? "";
  }
  return root;
}

export function show(root, part, visible) {
  const place = root.querySelector(`[data-part="${part}"]`);
  if (place) place.hidden = !visible;
  return place;
}

export function toast(text, level = "") {
  const note = document.createElement("p");
  note.className = `toast ${level ? `toast--${level}` : ""}`;
  note.append(icon(level === "bad" ? "circle-alert" : level === "good" ? "circle-check" : "info"), text);
  document.getElementById("toasts")?.append(note);
  setTimeout(() => note.remove(), level === "bad" ? 9000 : 5000);
}
