// Finding one's way in a hall that is too large to be shown at once: its parts, a seat by its number, the next free seat.

import { fill, h, whole } from "./dom.js";

export class PartPicker {
  element = h("div", { class: "parts", role: "group", "aria-label": "Part of the hall", hidden: true });
  #size;
  #onPart;
  #select = h("select", { id: "part" });
  #before = h("button", { type: "button", class: "small", "data-key": "before", on: { click: () => this.#step(-1) } }, "Previous");
  #after = h("button", { type: "button", class: "small", "data-key": "after", on: { click: () => this.#step(1) } }, "Next");
  #number = h("input", { id: "seat-number", type: "number", min: "1", step: "1", inputmode: "numeric", required: true });
  #said = h("p", { class: "hint", role: "status", "aria-live": "polite" });
  #part = 0;
  #free = [];

  /** Parts are of `size` seats. */
  constructor({ size, onPart, onSeat, onFree }) {
    this.#size = size;
    this.#onPart = onPart;
    this.#select.addEventListener("change", () => onPart(Number(this.#select.value)));
    const go = (event) => {
      event.preventDefault();
      const isThere = onSeat(this.#number.valueAsNumber);
      fill(this.#said, isThere ? "" : `There is no seat ${this.#number.value}.`);
    };
    const free = () => fill(this.#said, onFree() ? "" : "No seat is free at present.");
    this.element.append(
      h("div", { class: "pick" }, h("label", { for: "part" }, "Seats"), this.#before, this.#select, this.#after),
      h("form", { class: "pick", on: { submit: go } },
        h("label", { for: "seat-number" }, "Seat number"), this.#number, h("button", { class: "small" }, "Go"),
        h("button", { type: "button", class: "small", on: { click: free } }, "Next free seat")),
      this.#said);
  }

  /** The seats of the hall as they are now. */
  show(seats) {
    const parts = Math.ceil(seats.length / this.#size);
    this.element.hidden = parts < 2;
    if (parts < 2) return;
    const free = new Array(parts).fill(0);
    seats.forEach(({ status }, index) => (free[Math.floor(index / this.#size)] += status === "AVAILABLE" ? 1 : 0));
    const options = this.#select.options;
    if (options.length !== parts || this.#free.length === 0) {
      fill(this.#select, free.map((_, part) => h("option", { value: String(part) })));
      this.#free = [];
    }
    free.forEach((count, part) => {
      if (this.#free[part] === count && this.#first === seats[0].seat) return;
      const last = seats[Math.min((part + 1) * this.#size, seats.length) - 1].seat;
      options[part].textContent = `${seats[part * this.#size].seat}–${last} · ${count ? `${whole(count)} free` : "none free"}`;
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
