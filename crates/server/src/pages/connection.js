// Shown while the server is unreachable: what stays valid, and how old the state on the page is.

import { fill, h, repeat } from "./dom.js";
import { t } from "./language.js";
import { clock } from "./session.js";
import { second } from "./time.js";

const age = (seconds) => (seconds < 90 ? t("ageSeconds", { n: seconds }) : t("ageMinutes", { n: Math.round(seconds / 60) }));

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

  /** `onFound` runs when the connection is back. */
  watch(feed, kept, onFound = () => {}) {
    feed.addEventListener("lost", () => {
      this.#stop();
      this.element.hidden = false;
      fill(this.#said, t("lost", { kept: kept() }));
      this.#stop = repeat(1_000, () => {
        const seen = new Date(feed.heardAt + clock.ahead).toISOString();
        const seconds = Math.max(1, Math.round((Date.now() - feed.heardAt) / 1000));
        fill(this.#age, `${age(seconds)} ${t("asOf", { at: second(seen) })}`);
      });
    });
    feed.addEventListener("found", () => {
      this.clear();
      onFound();
    });
  }

  clear() {
    this.#stop();
    this.element.hidden = true;
    fill(this.#said);
  }
}
