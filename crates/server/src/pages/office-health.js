// The banner above every view: whether the server and its database answer. A page that is left open recovers by itself.

import { fill, h, repeat } from "./dom.js";
import { t } from "./office-language.js";
import { at } from "./place.js";

const LOOK_EVERY = 3_000;
const ANSWER_MAX = 5_000;

/** Looks that must fail before the banner shows: one answer may be lost on its way. */
const FAILURES = 2;

/** Dispatches `back` when the server answers again after it did not, and `change` with each other state. */
class Health extends EventTarget {
  /** `ok`, `away` (no answer), `database`, `stopping`. */
  state = "ok";
  #parts = [];
  #failures = 0;
  #element = document.getElementById("banner");
  #looking = null;

  start() {
    repeat(LOOK_EVERY, () => this.look());
  }

  /** Checks the server; checks that are called while one is under way share it. */
  look() {
    this.#looking ??= this.#check().finally(() => (this.#looking = null));
    return this.#looking;
  }

  async #check() {
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(), ANSWER_MAX);
    try {
      const response = await fetch(at("/readyz"), { cache: "no-store", signal: controller.signal });
      const body = await response.json();
      this.#failures = 0;
      if (response.ok) this.#set("ok", (body.parts ?? []).filter(({ status }) => status === "degraded"));
      else if (response.status === 503) this.#set(/stopping/.test(body.detail ?? "") ? "stopping" : "database", []);
      else this.#fail();
    } catch {
      this.#fail();
    } finally {
      clearTimeout(timer);
    }
  }

  #fail() {
    if (++this.#failures >= FAILURES) this.#set("away", []);
  }

  #set(state, parts) {
    const before = this.state;
    const shown = JSON.stringify(parts);
    if (state === before && shown === JSON.stringify(this.#parts)) return;
    [this.state, this.#parts] = [state, parts];
    this.show();
    this.dispatchEvent(new Event(state === "ok" && before !== "ok" ? "back" : "change"));
  }

  /** Shows the state in the language of the page. */
  show() {
    const bad = this.state !== "ok" && h("p", { class: "banner bad" }, h("strong", {}, t(`health.${this.state}`)), " ", t(`health.${this.state}Text`));
    const reasons = (reason) => h("li", { lang: "en" }, reason);
    const part = this.#parts.length > 0 && h("div", { class: "banner warm" }, h("strong", {}, t("health.degraded")), h("ul", {}, this.#parts.flatMap((one) => one.reasons ?? []).map(reasons)));
    fill(this.#element, bad, part);
  }
}

export const health = new Health();
