// Shown while the server is unreachable: what stays valid, and how old the state on the page is.

import { fill, h, repeat } from "./dom.js";

const age = (seconds) => (seconds < 90 ? `${seconds} ${seconds === 1 ? "second" : "seconds"}` : `${Math.round(seconds / 60)} minutes`);

/** An element that is hidden while the feed has its connection. `kept` describes what the page keeps meanwhile. */
export class Connection {
  element = h("p", { class: "message bad lost", hidden: true });
  #said = h("span", { role: "status", "aria-live": "polite" });
  // Hidden from screen readers, because it changes each second.
  #age = h("span", { "aria-hidden": "true" });
  #stop = () => {};

  constructor() {
    this.element.append(this.#said, " ", this.#age);
  }

  watch(feed, kept) {
    feed.addEventListener("lost", () => {
      this.#stop();
      this.element.hidden = false;
      fill(this.#said, `Connection lost. ${kept()} Trying again…`);
      this.#stop = repeat(1_000, () => fill(this.#age, `What you see is ${age(Math.max(1, Math.round((Date.now() - feed.heardAt) / 1000)))} old.`));
    });
    feed.addEventListener("found", () => this.clear());
  }

  clear() {
    this.#stop();
    this.element.hidden = true;
    fill(this.#said);
  }
}
