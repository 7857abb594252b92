// The hall as a grid of buttons: what is free, held, sold, chosen and held by the visitor. A large hall is shown in parts,
// so that the page stays small however many seats there are. A section of a hall with a layout is shown in its rows.

import { points, whole } from "./amounts.js";
import { fill, h, svg } from "./dom.js";
import { t } from "./language.js";
import { PartPicker } from "./parts.js";
import { Zoom, beside, byRows, rowLines, rowsOf } from "./rows.js";

/** Seats shown at a time. */
const PART = 200;

/** A small hall is narrow, and rows of 10 are easy to talk about. */
const SMALL_HALL = 100;
const COLUMNS_MAX = 20;

/** The narrowest button for a number with this many digits, in CSS pixels. Never below 24, so that a finger can hit it. */
const WIDTHS = [24, 24, 24, 27, 34, 41, 48];
const GAP = 5;

export class SeatMap {
  element = h("div", { class: "map" });
  #grid = h("div", { class: "grid", role: "group", "aria-label": t("seatsGroup") });
  #legend = h("ul", { class: "legend" });
  #parts = new PartPicker({ onPart: (part) => this.#open(part), onSeat: (number) => this.#goTo(number), onFree: () => this.#goToFree() });
  #performance = null;
  #seats = [];
  /** Where in `#seats` a number is. */
  #places = new Map();
  #mine = new Set();
  /** Seats by number, as they were when they were chosen. */
  #chosen = new Map();
  /** Buttons of the part that is shown, by number. */
  #buttons = new Map();
  #grades = [];
  #part = 0;
  /** The index in `#seats` at which each part begins. */
  #cuts = [0];
  /** In a hall with a layout: the first index of each row, and the index behind its last seat. */
  #rows = null;
  #zoom = new Zoom((pixels) => this.#grid.style.setProperty("--seat", `${pixels}px`));
  #columns = 0;
  #isLocked = false;
  /** The one seat that Tab reaches; arrows go on from there. */
  #current = null;

  /** `most`: the seats that one user may have of a performance; the server refuses more. */
  constructor({ onChoice, most }) {
    this.onChoice = onChoice;
    this.most = most;
    const stage = svg("svg", { class: "apron", viewBox: "0 0 400 34", "aria-hidden": "true" },
      svg("path", { d: "M20 4 Q200 36 380 4" }), svg("text", { x: 200, y: 12, "text-anchor": "middle" }, t("stage")));
    this.element.append(stage, this.#parts.element, this.#zoom.element, this.#grid, this.#legend);
    this.#grid.addEventListener("keydown", (event) => this.#onKey(event));
    this.#grid.addEventListener("click", ({ target }) => this.#toggle(this.#numberOf(target)));
    this.#grid.addEventListener("focusin", ({ target }) => this.#setCurrent(this.#numberOf(target)));
    new ResizeObserver(() => this.#arrange()).observe(this.#grid);
  }

  chosen() {
    return [...this.#chosen.values()];
  }

  /** Seats of a performance, or of one section of it, as they are now. Returns the numbers of chosen seats that another took. */
  show(performance, listed, mine) {
    const seats = byRows(listed);
    const isOther = performance !== this.#performance || seats.length !== this.#seats.length || seats[0]?.seat !== this.#seats[0]?.seat;
    // An organiser may change prices while the map is open.
    const isRepriced = isOther || seats.some(({ price, grade }, place) => price !== this.#seats[place].price || grade !== this.#seats[place].grade);
    this.#performance = performance;
    this.#seats = seats;
    this.#mine = new Set(mine);
    if (isRepriced) this.#rank();
    if (isOther) this.#index();
    // What was chosen in another section is judged when it is held.
    const isGone = (number) => (this.#at(number) ? this.#at(number).status !== "AVAILABLE" : !this.#rows);
    const gone = [...this.#chosen.keys()].filter(isGone);
    for (const number of gone) this.#chosen.delete(number);
    const lost = gone.filter((number) => !this.#mine.has(number));
    this.#parts.show(seats, this.#cuts);
    this.#paint();
    if (lost.length) this.onChoice();
    return lost;
  }

  /** Removes seats that are no longer free from the choice. */
  drop(numbers) {
    for (const number of numbers) this.#chosen.delete(number);
    this.#paint();
    this.onChoice();
  }

  clear() {
    this.#chosen.clear();
    this.unload();
    this.onChoice();
  }

  /** Removes the seats that are shown, until those of another section come. The choice stays. */
  unload() {
    this.#performance = null;
    this.#seats = [];
    this.#buttons.clear();
    this.#parts.show([], [0]);
    fill(this.#grid, h("p", { class: "hint" }, t("loadingSeats")));
  }

  /** Chooses seats again, as far as they are free. Those of another section are judged when they are held. */
  choose(seats) {
    for (const seat of seats) {
      const now = this.#at(seat.seat) ?? (this.#rows ? seat : null);
      if (now?.status === "AVAILABLE" && this.#chosen.size < this.most) this.#chosen.set(now.seat, now);
    }
    this.#paint();
    this.onChoice();
  }

  /** While seats are held none can be chosen. */
  lock(isLocked) {
    this.#isLocked = isLocked;
    if (isLocked) this.#chosen.clear();
    this.#grid.classList.toggle("locked", isLocked);
    this.#paint();
  }

  #at(number) {
    return this.#seats[this.#places.get(number)];
  }

  #numberOf(target) {
    const button = target.closest?.(".seat");
    return button ? Number(button.dataset.key) : null;
  }

  /** The grades with their prices, the dearest first. */
  #rank() {
    const grades = new Map();
    for (const { grade, price } of this.#seats) {
      const key = `${price} ${grade}`;
      if (!grades.has(key)) grades.set(key, { key, grade, price });
    }
    this.#grades = [...grades.values()].sort((one, other) => other.price - one.price);
  }

  /** Another hall, or another performance of it. */
  #index() {
    this.#places = new Map(this.#seats.map(({ seat }, place) => [seat, place]));
    this.#rows = rowsOf(this.#seats, PART);
    this.#cuts = cutsOf(this.#seats.length, this.#rows);
    this.#zoom.element.hidden = !this.#rows;
    this.#grid.classList.toggle("rows", Boolean(this.#rows));
    // What the visitor holds is in sight.
    const mine = [...this.#mine].find((number) => this.#places.has(number));
    this.#open(mine == null ? 0 : this.#partOf(this.#places.get(mine)));
  }

  /** The part in which a place is. */
  #partOf(place) {
    let part = 0;
    while (this.#cuts[part + 1] <= place) part++;
    return part;
  }

  #end(part) {
    return this.#cuts[part + 1] ?? this.#seats.length;
  }

  #gradeOf({ grade, price }) {
    const key = `${price} ${grade}`;
    return this.#grades.findIndex((known) => known.key === key) % 4;
  }

  /** Shows a part of the hall: the nearest one if there is no such part. */
  #open(wanted) {
    const part = Math.max(0, Math.min(wanted, this.#cuts.length - 1));
    this.#part = part;
    const [from, to] = [this.#cuts[part], this.#end(part)];
    const seats = this.#seats.slice(from, to);
    this.#current = seats[0]?.seat ?? null;
    const button = ({ seat }) => h("button", { type: "button", class: "seat", tabindex: "-1", "data-key": seat }, String(seat));
    this.#buttons = new Map(seats.map((seat) => [seat.seat, button(seat)]));
    fill(this.#grid, this.#rows ? rowLines(this.#seats, this.#rows, [from, to], this.#buttons) : [...this.#buttons.values()]);
    this.#parts.open(part);
    this.#columns = 0;
    this.#arrange();
    this.#setCurrent(this.#current);
    this.#paint();
  }

  /** As many columns as fit. Rows bend towards the stage, with an aisle in the middle. */
  #arrange() {
    const width = this.#grid.clientWidth - 16;
    if (width <= 0 || this.#buttons.size === 0 || this.#rows) return;
    const digits = String([...this.#buttons.keys()].pop()).length;
    const most = this.#seats.length > SMALL_HALL ? COLUMNS_MAX : 10;
    const narrowest = WIDTHS[digits] ?? 8 * digits;
    const fitting = Math.floor((width + GAP) / (narrowest + GAP));
    const columns = Math.max(2, Math.min(most, fitting - (fitting % 2)));
    if (columns === this.#columns) return;
    this.#columns = columns;
    this.#grid.style.setProperty("--columns", columns);
    this.#grid.style.setProperty("--widest", `${Math.max(40, narrowest + 4)}px`);
    this.#grid.dataset.digits = digits;
    const middle = (columns - 1) / 2;
    let index = 0;
    for (const button of this.#buttons.values()) {
      const column = index++ % columns;
      const bend = ((column - middle) / middle) ** 2 * columns * 0.8;
      button.style.setProperty("--bend", `-${bend.toFixed(1)}px`);
      button.style.setProperty("--aisle", `${column < columns / 2 ? -3 : 3}px`);
    }
  }

  #paint() {
    for (const [number, button] of this.#buttons) {
      const seat = this.#at(number);
      if (!seat) continue;
      const isMine = this.#mine.has(number);
      const isChosen = this.#chosen.has(number);
      const state = isMine ? "mine" : isChosen ? "chosen" : seat.status === "BLOCKED" ? "sold" : seat.status.toLowerCase();
      const name = t(`state.${isMine ? "mine" : isChosen ? "chosen" : seat.status}`);
      const isFixed = this.#isLocked || (!isChosen && seat.status !== "AVAILABLE");
      const painted = `${state} ${isFixed} ${name} ${seat.grade} ${seat.price}`;
      if (button.dataset.painted === painted) continue;
      button.dataset.painted = painted;
      button.dataset.state = state;
      button.dataset.grade = this.#gradeOf(seat);
      button.setAttribute("aria-pressed", String(isChosen || isMine));
      button.setAttribute("aria-disabled", String(isFixed));
      const label = { seat: String(number), grade: seat.grade, points: points(seat.price), state: name, section: seat.section, row: seat.row };
      button.setAttribute("aria-label", t(this.#rows ? "seatRowLabel" : "seatLabel", label));
    }
    this.#explain();
  }

  #explain() {
    const shown = `${this.#performance} ${this.#isLocked} ${this.#grades.map(({ key }) => key).join()}`;
    if (this.#legend.dataset.shown === shown) return;
    this.#legend.dataset.shown = shown;
    const swatch = (state, grade, text) => h("li", {}, h("i", { class: "seat", "data-state": state, "data-grade": grade }), text);
    fill(this.#legend,
      this.#grades.map(({ grade, price }, index) => swatch("available", index % 4, `${grade} · ${whole(price)}`)),
      this.#isLocked ? swatch("mine", null, t("yours")) : swatch("chosen", null, t("chosen")), swatch("held", null, t("held")), swatch("sold", null, t("sold")));
  }

  #toggle(number) {
    const seat = this.#at(number);
    if (!seat || this.#isLocked) return;
    if (this.#chosen.has(number)) this.#chosen.delete(number);
    else if (seat.status === "AVAILABLE" && this.#chosen.size < this.most) this.#chosen.set(number, seat);
    else return;
    this.#paint();
    this.onChoice();
  }

  #setCurrent(number) {
    if (number == null) return;
    this.#buttons.get(this.#current)?.setAttribute("tabindex", "-1");
    this.#current = number;
    this.#buttons.get(number)?.setAttribute("tabindex", "0");
  }

  /** Moves the focus to a seat and opens its part. Returns false if there is no such seat. */
  #goTo(number) {
    const place = this.#places.get(number);
    if (place == null) return false;
    const part = this.#partOf(place);
    if (part !== this.#part) this.#open(part);
    this.#buttons.get(number).focus();
    return true;
  }

  /** Moves the focus to the next free seat after the current one, from the front again after the last. */
  #goToFree() {
    const from = (this.#places.get(this.#current) ?? -1) + 1;
    const isFree = ({ seat, status }) => status === "AVAILABLE" && !this.#chosen.has(seat);
    const next = this.#seats.slice(from).find(isFree) ?? this.#seats.find(isFree);
    return next ? this.#goTo(next.seat) : false;
  }

  #onKey(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const place = this.#places.get(this.#current);
    const next = this.#seats[this.#rows ? this.#alongRows(event.key, place) : this.#alongGrid(event.key, place)];
    if (!next) return;
    event.preventDefault();
    this.#goTo(next.seat);
  }

  /** The place to which a key moves from a place; NaN or a place beyond the hall if to none. */
  #alongGrid(key, place) {
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: this.#columns, ArrowUp: -this.#columns, PageDown: PART, PageUp: -PART };
    const ends = { Home: this.#cuts[this.#part], End: this.#end(this.#part) - 1 };
    const wanted = ends[key] ?? place + steps[key];
    return key.startsWith("Page") ? Math.min(Math.max(wanted, 0), this.#seats.length - 1) : wanted;
  }

  /** The same in a hall with rows: up and down lead to the seat in front or behind. */
  #alongRows(key, place) {
    const [first, end] = this.#rows.find(([from, to]) => from <= place && place < to) ?? [0, 0];
    const pages = { PageDown: this.#cuts[this.#part + 1], PageUp: this.#cuts[this.#part - 1] };
    const rows = { ArrowDown: 1, ArrowUp: -1 };
    if (key in rows) return beside(this.#rows, place, rows[key]);
    return { ArrowRight: place + 1, ArrowLeft: place - 1, Home: first, End: end - 1, ...pages }[key];
  }
}

/** The index at which each part begins: after 200 seats, in a hall with rows before the row that would be more. */
function cutsOf(seats, rows) {
  const cuts = [0];
  if (!rows) {
    for (let place = PART; place < seats; place += PART) cuts.push(place);
    return cuts;
  }
  for (const [first, end] of rows) if (end - cuts[cuts.length - 1] > PART && first > 0) cuts.push(first);
  return cuts;
}
