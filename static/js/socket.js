// A socket that comes back: jittered retries, ?after= without gap or repeat, a fresh snapshot when one is found.

import { clock } from "./clock.js";
import { toLogin } from "./http.js";

const HEARTBEAT = 10_000;
const SILENCE = 40_000; // the server says `alive` every 15 s
const LONGEST = 15_000;

export class LiveSocket {
  /** `dense`: each frame is one more, so a hole is a loss. `leads`: its state is the page's connection mark. */
  constructor(path, { seq = null, dense = true, heartbeat = false, leads = false, onFrame }) {
    Object.assign(this, { path, seq, dense, heartbeat, leads, onFrame, tries: 0, stopped: false, lostAt: null });
    this.beat = setInterval(() => this.tick(), HEARTBEAT);
    this.online = () => this.retry(0);
    this.offline = () => this.drop();
    addEventListener("online", this.online);
    addEventListener("offline", this.offline);
    this.open();
  }

  open() {
    clearTimeout(this.timer);
    if (this.stopped || this.socket) return;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const after = this.dense && this.seq !== null ? `?after=${this.seq}` : "";
    const socket = new WebSocket(`${scheme}://${location.host}${this.path}${after}`);
    this.socket = socket;
    this.heardAt = Date.now();
    socket.onmessage = (event) => socket === this.socket && this.hear(JSON.parse(event.data));
    socket.onopen = () => socket === this.socket && this.live();
    socket.onclose = (event) => socket === this.socket && this.closed(event.code);
  }

  live() {
    this.lostAt = null;
    this.say({ type: "heartbeat" });
    this.tell("live");
  }

  hear(frame) {
    this.heardAt = Date.now();
    this.tries = 0;
    if (frame.type === "alive") return this.alive(frame);
    if (frame.type === "snapshot") {
      clock.heard(frame.at);
    } else if (this.dense && this.seq !== null) {
      if (frame.seq <= this.seq) return; // a repeat
      if (frame.seq > this.seq + 1) return this.resync();
    }
    this.seq = frame.seq ?? this.seq;
    this.onFrame(frame);
  }

  alive(frame) {
    if (this.heartbeat) this.say({ type: "heartbeat" }); // timers sleep in hidden tabs, frames do not
    if (!this.dense || frame.seq === undefined || frame.seq <= this.seq) return;
    const behind = this.seq;
    setTimeout(() => this.seq === behind && this.resync(), 3000);
  }

  /** Something is missing: come back without ?after=, which brings a snapshot. */
  resync() {
    this.seq = null;
    this.drop();
    this.retry(0);
  }

  closed(code) {
    this.socket = null;
    if (code === 4401) return toLogin();
    if (code === 4403) this.stopped = true;
    this.lostAt ??= Date.now();
    this.tell(this.stopped ? "refused" : "lost");
    if (this.stopped) return;
    const wait = Math.min(LONGEST, 500 * 2 ** this.tries++);
    this.retry(code === 4408 ? 0 : wait * (0.5 + Math.random()));
  }

  retry(wait) {
    clearTimeout(this.timer);
    if (!this.stopped) this.timer = setTimeout(() => this.open(), wait);
  }

  drop() {
    const socket = this.socket;
    this.socket = null;
    socket?.close();
    this.lostAt ??= Date.now();
    this.tell("lost");
    if (navigator.onLine) this.retry(500 + Math.random() * 1000);
  }

  tick() {
    if (this.socket && Date.now() - this.heardAt > SILENCE) return this.drop();
    if (this.heartbeat) this.say({ type: "heartbeat" });
  }

  say(frame) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(frame));
  }

  tell(state) {
    if (this.leads) document.dispatchEvent(new CustomEvent("connection", { detail: { state, lostAt: this.lostAt } }));
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
    clearInterval(this.beat);
    removeEventListener("online", this.online);
    removeEventListener("offline", this.offline);
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }
}
