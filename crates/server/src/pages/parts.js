// Finding one's way in a hall that is too large to be shown at once: its parts, a seat by its number, the next free seat.

import { fill, h } from "./dom.js";
import { t } from "./language.js";

export class PartPicker {
  element = h("div", { class: "parts", role: "group", "aria-label": t("part"), hidden: true });
  #onPart;
  #select = h("select", { id: "part" });
  #before = h("button", { type: "button", class: "small", "data-key": "before", on: { click: () => this.#step(-1) } }, t("previous"));
  #after = h("button", { type: "button", class: "small", "data-key": "after", on: { click: () => this.#step(1) } }, t("next"));
  #number = h("input", { id: "seat-number", type: "number", min: "1", step: "1", inputmode: "numeric", required: true });
  #said = h("p", { class: "hint", role: "status", "aria-live": "polite" });
  #part = 0;
  #free = [];

  constructor({ onPart, onSeat, onFree }) {
    this.#onPart = onPart;
    this.#select.addEventListener("change", () => onPart(Number(this.#select.value)));
    const go = (event) => {
      event.preventDefault();
      const isThere = onSeat(this.#number.valueAsNumber);
      fill(this.#said, isThere ? "" : t("noSeat", { n: this.#number.value }));
    };
    const free = () => fill(this.#said, onFree() ? "" : t("noneFree"));
    this.element.append(
      h("div", { class: "pick" }, h("label", { for: "part" }, t("partSeats")), this.#before, this.#select, this.#after),
      h("form", { class: "pick", on: { submit: go } },
        h("label", { for: "seat-number" }, t("seatNumber")), this.#number, h("button", { class: "small" }, t("go")),
        h("button", { type: "button", class: "small", on: { click: free } }, t("nextFree"))),
      this.#said);
  }

  /** The seats of the hall as they are now. Each of `cuts` is the index at which a part begins. */
  show(seats, cuts) {
    const parts = seats.length ? cuts.length : 0;
    this.element.hidden = parts < 2;
    if (parts < 2) return;
    const end = (part) => cuts[part + 1] ?? seats.length;
    const free = cuts.map((from, part) => seats.slice(from, end(part)).filter(({ status }) => status === "AVAILABLE").length);
    const options = this.#select.options;
    if (options.length !== parts || this.#free.length === 0) {
      fill(this.#select, free.map((_, part) => h("option", { value: String(part) })));
      this.#free = [];
    }
    free.forEach((count, part) => {
      if (this.#free[part] === count && this.#first === seats[0].seat) return;
      const range = { from: String(seats[cuts[part]].seat), to: String(seats[end(part) - 1].seat), n: count };
      options[part].textContent = t(count ? "partFree" : "partNone", range);
    });
    this.#first = seats[0].seat;
    this.#free = free;
    this.open(Math.min(this.#part, parts - 1));
  }

  #first = null;

  /** Opens the part before or after the one that is shown, if there is one. */
  #step(by) {
    const part = this.#part + by;
    if (part >= 0 && part < this.#select.options.length) this.#onPart(part);
  }

  /** Marks the part that is shown. */
  open(part) {
    this.#part = part;
    if (this.element.hidden) return;
    this.#select.value = String(part);
    // Not disabled: the button that was just pressed keeps the focus.
    this.#before.setAttribute("aria-disabled", String(part === 0));
    this.#after.setAttribute("aria-disabled", String(part === this.#select.options.length - 1));
  }
}
