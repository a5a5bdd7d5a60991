// <relative-time datetime form since>: a time that ticks. Forms: age, due, clock, clock-age, clock-due.

import { clock, everySecond, minutesAndSeconds } from "../clock.js";

const DAY = 86_400_000;
const date = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const dateAndYear = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });
const time = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });

function span(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 60) return `${Math.max(0, seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

function day(at, now) {
  return (new Date(at).getFullYear() === new Date(now).getFullYear() ? date : dateAndYear).format(at);
}

const FORMS = {
  age: (at, now) => (now - at > 7 * DAY ? day(at, now) : span(now - at)),
  clock: (at, now) => (new Date(at).toDateString() === new Date(now).toDateString() ? time.format(at) : `${day(at, now)} ${time.format(at)}`),
  due: (at, now) => (at > now ? span(at - now) : `${span(now - at)} over`),
  "clock-age": (at, now) => minutesAndSeconds(now - at),
  "clock-due": (at, now) => (at > now ? minutesAndSeconds(at - now) : `${minutesAndSeconds(now - at)} over`),
};

class RelativeTime extends HTMLElement {
  static observedAttributes = ["datetime"];

  connectedCallback() {
    this.forget = everySecond(() => this.draw());
    this.draw();
  }

  disconnectedCallback() {
    this.forget?.();
  }

  attributeChangedCallback() {
    this.removeAttribute("title");
    if (this.isConnected) this.draw();
  }

  draw() {
    const at = Date.parse(this.getAttribute("datetime") ?? "");
    const form = this.getAttribute("form") || "age";
    if (Number.isNaN(at)) return this.put("–");
    if (!this.title) this.title = exact.format(at);
    const now = clock.now();
    this.put(FORMS[form](at, now));
    if (form.endsWith("due")) this.dataset.level = this.level(at, now);
  }

  /** Amber at a quarter left (of what was given, else of twenty minutes), red past it. */
  level(at, now) {
    const since = Date.parse(this.getAttribute("since") ?? "");
    const quarter = (Number.isNaN(since) ? 20 * 60_000 : at - since) / 4;
    return at <= now ? "over" : at - now <= quarter ? "soon" : "ok";
  }

  put(text) {
    if (this.textContent !== text) this.textContent = text;
  }
}

customElements.define("relative-time", RelativeTime);
