// A section of a hall with a layout: its rows with their aisles, and how large its seats are.

import { h } from "./dom.js";
import { t } from "./language.js";
import { kept } from "./session.js";

/** Sizes of a seat in CSS pixels. Never below 24, so that a finger can hit it. */
const SIZES = [24, 28, 34, 42, 52];

/** Below this width of the window, in CSS pixels, seats are smaller at first. */
const PHONE = 861;

/** Seats row by row, in the order in which the rows first appear. Seats without rows stay as they are. */
export function byRows(seats) {
  if (seats[0]?.row == null) return seats;
  const rows = new Map();
  for (const seat of seats) {
    if (!rows.has(seat.row)) rows.set(seat.row, []);
    rows.get(seat.row).push(seat);
  }
  return [...rows.values()].flat();
}

/** The rows of seats that are sorted by rows: first index, and the index behind the last. Null without rows. A row of more than `most` goes on in the next line. */
export function rowsOf(seats, most) {
  if (seats[0]?.row == null) return null;
  const rows = [];
  for (let first = 0; first < seats.length; ) {
    let end = first + 1;
    while (end < seats.length && seats[end].row === seats[first].row && end - first < most) end++;
    rows.push([first, end]);
    first = end;
  }
  return rows;
}

/** The elements of the rows between two indexes. Where numbers are left out there is an aisle. */
export function rowLines(seats, rows, [from, to], buttons) {
  const line = ([first, end]) => {
    const own = seats.slice(first, end);
    own.forEach(({ seat }, index) => buttons.get(seat).classList.toggle("after-aisle", index > 0 && seat !== own[index - 1].seat + 1));
    const name = t("rowName", { row: own[0].row });
    return h("div", { class: "seat-row", role: "group", "aria-label": name },
      h("span", { class: "row-name", "aria-hidden": "true" }, own[0].row), own.map(({ seat }) => buttons.get(seat)));
  };
  return rows.filter(([first]) => first >= from && first < to).map(line);
}

/** The place in front of or behind a place, as near to the same distance from the middle of its row as there is one; undefined in the first and last row. */
export function beside(rows, place, step) {
  const at = rows.findIndex(([first, end]) => first <= place && place < end);
  const target = rows[at + step];
  if (at < 0 || !target) return undefined;
  const [first, end] = rows[at];
  const [other, last] = target;
  const shifted = Math.round(place - first + (last - other - (end - first)) / 2);
  return other + Math.max(0, Math.min(shifted, last - other - 1));
}

/** Two buttons that make the seats larger and smaller; the browser remembers it. `onSize` gets CSS pixels. */
export class Zoom {
  #onSize;
  #level = kept.get("zoom") ?? (innerWidth < PHONE ? 1 : 2);
  #smaller = h("button", { type: "button", class: "small", "data-key": "smaller", on: { click: () => this.#step(-1) } }, t("smaller"));
  #larger = h("button", { type: "button", class: "small", "data-key": "larger", on: { click: () => this.#step(1) } }, t("larger"));
  element = h("div", { class: "pick zoom", role: "group", "aria-label": t("zoom"), hidden: true }, this.#smaller, this.#larger);

  constructor(onSize) {
    this.#onSize = onSize;
    this.#step(0);
  }

  #step(by) {
    this.#level = Math.max(0, Math.min(this.#level + by, SIZES.length - 1));
    if (by) kept.set("zoom", this.#level);
    // Not disabled: the button that was just pressed keeps the focus.
    this.#smaller.setAttribute("aria-disabled", String(this.#level === 0));
    this.#larger.setAttribute("aria-disabled", String(this.#level === SIZES.length - 1));
    this.#onSize(SIZES[this.#level]);
  }
}
