// The connection mark in the top line, and the banner while it is lost.

import { everySecond } from "./clock.js";

let lostAt = null;
const mark = document.querySelector(".connection");
const banner = document.getElementById("offline");
const WORDS = { live: "Live", lost: "Reconnecting", refused: "Not yours" };

document.addEventListener("connection", ({ detail }) => {
  lostAt = detail.state === "lost" ? detail.lostAt : null;
  mark.hidden = false;
  mark.dataset.state = detail.state === "live" ? "live" : "lost";
  mark.title = WORDS[detail.state];
  mark.querySelector(".connection__word").textContent = WORDS[detail.state];
  if (detail.state === "live") document.body.classList.remove("is-offline");
  paint();
});

function paint() {
  const seconds = lostAt === null ? 0 : Math.round((Date.now() - lostAt) / 1000);
  banner.hidden = lostAt === null || seconds < 2; // a blink is not worth a banner
  if (banner.hidden) return;
  document.body.classList.add("is-offline");
  banner.querySelector("span").textContent = `Connection lost ${seconds} s ago. Nothing you typed is lost. Reconnecting…`;
}

everySecond(() => lostAt !== null && paint());
