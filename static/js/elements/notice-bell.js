// <notice-bell>: how many notices wait, live on every page.

import { toast } from "../marks.js";
import { LiveSocket } from "../socket.js";

class NoticeBell extends HTMLElement {
  connectedCallback() {
    this.unread = Number(this.dataset.unread) || 0;
    this.draw();
    this.socket = new LiveSocket("/ws/notices/", { onFrame: (frame) => this.take(frame) });
  }

  disconnectedCallback() {
    this.socket.stop();
  }

  take({ type, data }) {
    if (type === "snapshot") this.unread = data.unread;
    if (type === "notice.made") {
      this.unread += 1;
      toast(`${data.by} called you in a note.`);
    }
    if (type === "notice.read") this.unread = Math.max(0, this.unread - data.count);
    this.draw();
  }

  draw() {
    const count = this.querySelector(".bell__count");
    count.textContent = this.unread > 99 ? "99+" : this.unread;
    count.hidden = !this.unread;
    this.querySelector("a").setAttribute("aria-label", this.unread ? `Notices, ${this.unread} waiting` : "Notices");
  }
}

customElements.define("notice-bell", NoticeBell);
