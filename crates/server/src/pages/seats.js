// The hall as a grid of buttons: what is free, held, sold, chosen and held by the visitor.

import { fill, h, points, svg, whole } from "./dom.js";

/** More than this one user may not have of a performance. */
export const SEATS_MAX = 4;

/** A larger hall is shown in blocks, so that no page grows without bound. */
const BLOCK = 400;

const NAMES = { AVAILABLE: "available", HELD: "held by someone", SOLD: "sold" };

export class SeatMap {
  element = h("div", { class: "map" });
  #grid = h("div", { class: "grid", role: "group", "aria-label": "Seats, numbered from the stage" });
  #legend = h("ul", { class: "legend" });
  #blocks = h("div", { class: "row", role: "group", "aria-label": "Part of the hall" });
  #seats = [];
  #mine = new Set();
  #chosen = new Map();
  #buttons = new Map();
  #grades = [];
  #block = 0;
  #isLocked = false;
  /** The one seat that Tab reaches; arrows go on from there. */
  #current = null;

  constructor({ onChoice }) {
    this.onChoice = onChoice;
    const stage = svg("svg", { class: "apron", viewBox: "0 0 400 34", "aria-hidden": "true" },
      svg("path", { d: "M20 4 Q200 36 380 4" }), svg("text", { x: 200, y: 12, "text-anchor": "middle" }, "STAGE"));
    this.element.append(stage, this.#blocks, h("div", { class: "scroll" }, this.#grid), this.#legend);
    this.#grid.addEventListener("keydown", (event) => this.#onKey(event));
  }

  chosen() {
    return [...this.#chosen.values()];
  }

  /** Seats of a performance as they are now. Returns the numbers of chosen seats that another took. */
  show(seats, mine) {
    const isOther = seats.length !== this.#seats.length || seats[0]?.seat !== this.#seats[0]?.seat;
    this.#seats = seats;
    this.#mine = new Set(mine);
    this.#rank();
    if (isOther) this.#build();
    const free = new Set(seats.filter(({ status }) => status === "AVAILABLE").map(({ seat }) => seat));
    const lost = [...this.#chosen.keys()].filter((number) => !free.has(number) && !this.#mine.has(number));
    for (const number of this.#chosen.keys()) if (!free.has(number)) this.#chosen.delete(number);
    this.#paint();
    if (lost.length) this.onChoice();
    return lost;
  }

  /** Takes what cannot be had out of the choice. */
  drop(numbers) {
    for (const number of numbers) this.#chosen.delete(number);
    this.#paint();
    this.onChoice();
  }

  clear() {
    this.#chosen.clear();
    this.#seats = [];
    this.#block = 0;
    fill(this.#grid, h("p", { class: "hint" }, "Looking at the seats…"));
    this.onChoice();
  }

  /** While seats are held none can be chosen. */
  lock(isLocked) {
    this.#isLocked = isLocked;
    if (isLocked) this.#chosen.clear();
    this.#grid.classList.toggle("locked", isLocked);
    this.#paint();
  }

  #rank() {
    const prices = new Map(this.#seats.map(({ grade, price }) => [`${price} ${grade}`, { grade, price }]));
    this.#grades = [...prices.values()].sort((one, other) => other.price - one.price);
  }

  #gradeOf({ grade, price }) {
    return this.#grades.findIndex((known) => known.grade === grade && known.price === price) % 4;
  }

  #build() {
    const blocks = Math.ceil(this.#seats.length / BLOCK);
    fill(this.#blocks, blocks < 2 ? [] : Array.from({ length: blocks }, (_, index) => {
      const part = this.#seats.slice(index * BLOCK, (index + 1) * BLOCK);
      const open = () => {
        this.#block = index;
        this.#build();
        this.#paint();
      };
      const name = `${part[0].seat}–${part.at(-1).seat}`;
      return h("button", { type: "button", class: "small", "aria-pressed": String(index === this.#block), on: { click: open } }, name);
    }));
    const part = this.#seats.slice(this.#block * BLOCK, (this.#block + 1) * BLOCK);
    this.columns = part.length > 100 ? 20 : 10;
    const middle = (this.columns - 1) / 2;
    this.#buttons = new Map();
    this.#current = part[0]?.seat ?? null;
    fill(this.#grid, part.map((seat, index) => {
      const column = index % this.columns;
      // Rows bend towards the stage.
      const bend = (((column - middle) / middle) ** 2 * (this.columns === 10 ? 11 : 16)).toFixed(1);
      const aisle = `${column < this.columns / 2 ? -4 : 4}px`;
      const button = h("button", {
        type: "button", class: "seat", tabindex: "-1", "data-seat": seat.seat, vars: { "--bend": `-${bend}px`, "--aisle": aisle },
        on: { click: () => this.#toggle(seat.seat), focus: () => this.#setCurrent(seat.seat) },
      }, String(seat.seat));
      this.#buttons.set(seat.seat, button);
      return button;
    }));
    this.#grid.dataset.columns = this.columns;
    this.#setCurrent(this.#current);
  }

  #paint() {
    for (const seat of this.#seats) {
      const button = this.#buttons.get(seat.seat);
      if (!button) continue;
      const isMine = this.#mine.has(seat.seat);
      const isChosen = this.#chosen.has(seat.seat);
      const state = isMine ? "mine" : isChosen ? "chosen" : seat.status.toLowerCase();
      const name = isMine ? "held for you" : NAMES[seat.status];
      button.dataset.state = state;
      button.dataset.grade = this.#gradeOf(seat);
      button.setAttribute("aria-pressed", String(isChosen || isMine));
      button.setAttribute("aria-disabled", String(this.#isLocked || (!isChosen && seat.status !== "AVAILABLE")));
      button.setAttribute("aria-label", `Seat ${seat.seat}, ${seat.grade}, ${points(seat.price)}, ${name}`);
    }
    const swatch = (state, grade, text) => h("li", {}, h("i", { class: "seat", "data-state": state, "data-grade": grade }), text);
    fill(this.#legend,
      this.#grades.map(({ grade, price }, index) => swatch("available", index % 4, `${grade} · ${whole(price)}`)),
      this.#isLocked ? swatch("mine", null, "Yours") : swatch("chosen", null, "Chosen"), swatch("held", null, "Held"), swatch("sold", null, "Sold"));
  }

  #toggle(number) {
    const seat = this.#seats.find((known) => known.seat === number);
    if (!seat || this.#isLocked) return;
    if (this.#chosen.has(number)) this.#chosen.delete(number);
    else if (seat.status === "AVAILABLE" && this.#chosen.size < SEATS_MAX) this.#chosen.set(number, seat);
    else if (seat.status !== "AVAILABLE") return;
    this.#paint();
    this.onChoice();
  }

  #setCurrent(number) {
    this.#buttons.get(this.#current)?.setAttribute("tabindex", "-1");
    this.#current = number;
    this.#buttons.get(number)?.setAttribute("tabindex", "0");
  }

  #onKey(event) {
    const order = [...this.#buttons.keys()];
    const at = order.indexOf(this.#current);
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.columns, ArrowUp: -this.columns };
    const next = { Home: order[0], End: order.at(-1) }[event.key] ?? order[at + steps[event.key]];
    if (next == null) return;
    event.preventDefault();
    this.#buttons.get(next).focus();
  }
}
