// The map of a hall: what is free, held, sold and blocked. Seats are chosen by mouse, keyboard or numbers, then blocked or
// unblocked.

import { fill, h } from "./dom.js";
import { get, writer } from "./office-api.js";
import { ask } from "./office-dialogs.js";
import { field } from "./office-forms.js";
import { moment, points, t } from "./office-language.js";
import { actions, announce, button, card, notify } from "./office-parts.js";
import { session } from "./office-session.js";

/** Seats that are shown at a time. */
const PART = 200;

/** The most seats of one change. */
const CHANGE_MAX = 1_000;

const REFRESH = 3_000;
const LARGE_HALL = 5_000;
const REFRESH_LARGE = 15_000;

const STATES = ["AVAILABLE", "HELD", "SOLD", "BLOCKED"];

/** What a state looks like besides its colour. */
const MARKS = { HELD: "◔", SOLD: "●", BLOCKED: "✕" };

export async function show(page, performanceId) {
  const path = `/admin/performances/${performanceId}`;
  const performance = await get(path);
  const concert = await get(`/admin/concerts/${performance.concertId}`);
  const mayBlock = session.may("run") && performance.status !== "CANCELLED";
  const hall = new Hall(mayBlock);
  const load = async () => {
    // An answer that broke off in the middle is no list.
    const seats = await get(`${path}/seats`);
    if (Array.isArray(seats)) hall.update(seats);
  };
  const change = (isBlock) => async () => {
    const seats = hall.chosen(isBlock ? "AVAILABLE" : "BLOCKED");
    if (!seats.length) return notify(t(isBlock ? "noneToBlock" : "noneToUnblock"), "bad");
    if (seats.length > CHANGE_MAX) return notify(t("tooManySeats", { n: CHANGE_MAX }), "bad");
    const write = writer();
    const isDone = await ask({
      title: t(isBlock ? "blockSeats" : "unblockSeats", { n: seats.length }), text: t(isBlock ? "blockText" : "unblockText"), submit: t(isBlock ? "block" : "unblock"),
      fields: [field({ name: "reason", label: t("reason"), required: true, wide: true, hint: t("reason.hint") })],
      onSubmit: ({ reason }) => write("POST", `${path}/${isBlock ? "blocks" : "unblocks"}`, { seats, reason }),
    });
    if (!isDone) return null;
    notify(t(isBlock ? "blockedDone" : "unblockedDone", { n: seats.length }));
    hall.clear();
    await load();
    return null;
  };
  await load();
  page.show([
    page.head(t("hallMap"), { back: [`#/performances/${performanceId}`, `${concert.title}, ${moment(performance.startsAt)}`] }),
    h("div", { class: "hall-columns" },
      card(null, hall.picker, hall.element, hall.legend),
      card(t("chosenSeats"), hall.summary, mayBlock && rangeForm(hall), mayBlock && actions(button(t("block"), change(true), "primary"), button(t("unblock"), change(false)), button(t("clearChoice"), () => hall.clear())),
        h("h3", {}, t("seatDetails")), hall.details, mayBlock && h("p", { class: "hint keys" }, t("hallKeys")))),
  ], load, hall.size > LARGE_HALL ? REFRESH_LARGE : REFRESH);
}

/** Chooses seats by their numbers: `1-10, 15`. */
function rangeForm(hall) {
  const input = h("input", { id: "range", name: "range", "data-key": "range", autocomplete: "off", placeholder: "1-10, 15", maxlength: 200 });
  const submit = (event) => {
    event.preventDefault();
    const parts = input.value.split(/[,\s]+/).filter(Boolean).map((part) => /^(\d+)(?:[-–~](\d+))?$/.exec(part));
    if (!parts.length || parts.some((part) => !part)) return notify(t("wrong.seats"), "bad");
    hall.choose(parts.map(([, from, to]) => [Number(from), Number(to ?? from)]));
    input.value = "";
    return null;
  };
  return h("form", { class: "range", on: { submit } }, h("label", { for: "range" }, t("seatNumbersField")), h("div", { class: "pair" }, input, h("button", {}, t("choose"))));
}

/** The seats of a part as buttons. `size` is the number of seats of the hall. */
class Hall {
  element = h("div", { class: "seats", role: "group", "aria-label": t("hallMap") });
  picker = h("div", { class: "parts" });
  legend = h("ul", { class: "seat-legend" });
  summary = h("p", { role: "status", "aria-live": "polite" });
  details = h("p", { class: "hint seat-details" }, t("seatDetailsNone"));
  #seats = [];
  #places = new Map();
  #buttons = new Map();
  #chosen = new Set();
  #part = 0;
  #current = null;
  /** The seat from which Shift chooses a range. */
  #anchor = null;
  #mayChoose;

  constructor(mayChoose) {
    this.#mayChoose = mayChoose;
    this.element.addEventListener("click", (event) => this.#onClick(event));
    this.element.addEventListener("keydown", (event) => this.#onKey(event));
    this.element.addEventListener("focusin", ({ target }) => this.#setCurrent(numberOf(target)));
  }

  get size() {
    return this.#seats.length;
  }

  /** Seats as they are now. */
  update(seats) {
    const isSame = seats.length === this.#seats.length && seats.every(({ seat }, index) => seat === this.#seats[index].seat);
    this.#seats = seats;
    if (!isSame) {
      this.#places = new Map(seats.map(({ seat }, place) => [seat, place]));
      this.#open(this.#part);
    }
    this.#paint();
  }

  /** Chosen seats of this state, in order. */
  chosen(status) {
    return this.#seats.filter((seat) => this.#chosen.has(seat.seat) && seat.status === status).map(({ seat }) => seat);
  }

  choose(ranges) {
    const fits = ({ seat }) => ranges.some(([from, to]) => seat >= from && seat <= to);
    const found = this.#seats.filter(fits);
    for (const { seat } of found) this.#chosen.add(seat);
    if (found.length) this.#show(found[0].seat);
    else notify(t("noSuchSeat"), "bad");
    this.#paint();
  }

  clear() {
    this.#chosen.clear();
    this.#anchor = null;
    this.#paint();
  }

  #at(number) {
    return this.#seats[this.#places.get(number)];
  }

  #open(wanted) {
    const parts = Math.max(1, Math.ceil(this.#seats.length / PART));
    this.#part = Math.max(0, Math.min(wanted, parts - 1));
    const seats = this.#seats.slice(this.#part * PART, (this.#part + 1) * PART);
    this.#buttons = new Map(seats.map(({ seat }) => [seat, h("button", { type: "button", class: "place", tabindex: "-1", "data-key": `seat-${seat}` }, h("span", {}, String(seat)))]));
    fill(this.element, [...this.#buttons.values()]);
    this.#setCurrent(seats[0]?.seat ?? null);
    this.#showPicker(parts);
  }

  #showPicker(parts) {
    if (parts < 2) return fill(this.picker);
    const range = (part) => `${this.#seats[part * PART].seat}–${this.#seats[Math.min((part + 1) * PART, this.#seats.length) - 1].seat}`;
    const select = h("select", { id: "part", "data-key": "part", on: { change: ({ target }) => this.#turn(Number(target.value)) } },
      Array.from({ length: parts }, (_, part) => h("option", { value: part, selected: part === this.#part }, range(part))));
    return fill(this.picker, h("label", { for: "part" }, t("partOfHall")), select);
  }

  #turn(part) {
    this.#open(part);
    this.#paint();
  }

  #paint() {
    for (const [number, place] of this.#buttons) {
      const seat = this.#at(number);
      const isChosen = this.#chosen.has(number);
      const painted = `${seat.status} ${isChosen} ${seat.userId ?? ""} ${seat.blockReason ?? ""} ${seat.price}`;
      if (place.dataset.painted === painted) continue;
      place.dataset.painted = painted;
      place.dataset.state = seat.status;
      place.dataset.mark = MARKS[seat.status] ?? "";
      if (this.#mayChoose) place.setAttribute("aria-pressed", String(isChosen));
      place.setAttribute("aria-label", t("seatLabel", { n: String(number), grade: seat.grade, price: points(seat.price), state: stateWords(seat) }));
    }
    const count = (status) => this.#seats.reduce((sum, seat) => sum + Number(seat.status === status), 0);
    const legend = STATES.map((status) => [status, count(status)]);
    if (this.legend.dataset.shown !== String(legend)) {
      this.legend.dataset.shown = String(legend);
      fill(this.legend, legend.map(([status, n]) => h("li", {}, h("i", { class: "place", "data-state": status, "data-mark": MARKS[status] ?? "", "aria-hidden": "true" }), t(`seat.${status}`), " ", h("strong", {}, t("seatCount", { n })))));
    }
    const words = t("chosenWords", { n: this.#chosen.size, free: this.chosen("AVAILABLE").length, blocked: this.chosen("BLOCKED").length });
    if (this.summary.textContent !== words) fill(this.summary, words);
    this.#showDetails();
  }

  #showDetails() {
    const seat = this.#current != null && this.#at(this.#current);
    if (!seat || !this.element.contains(document.activeElement)) return;
    const user = seat.userId && h("a", { href: `#/users/${seat.userId}` }, seat.userId);
    fill(this.details, h("strong", {}, t("seatName", { n: String(seat.seat) })), ` · ${seat.grade} · ${points(seat.price)} · ${stateWords(seat)} `, user);
  }

  #setCurrent(number) {
    if (number == null) return;
    this.#buttons.get(this.#current)?.setAttribute("tabindex", "-1");
    this.#current = number;
    this.#buttons.get(number)?.setAttribute("tabindex", "0");
    this.#showDetails();
  }

  #show(number) {
    const part = Math.floor(this.#places.get(number) / PART);
    if (part !== this.#part) this.#turn(part);
  }

  #toggle(number, isRange) {
    if (!this.#mayChoose) return;
    if (isRange && this.#anchor != null) {
      const [from, to] = [this.#places.get(this.#anchor), this.#places.get(number)].sort((one, other) => one - other);
      for (const { seat } of this.#seats.slice(from, to + 1)) this.#chosen.add(seat);
    } else {
      if (!this.#chosen.delete(number)) this.#chosen.add(number);
      this.#anchor = number;
    }
    this.#paint();
  }

  #onClick(event) {
    const number = numberOf(event.target);
    if (number != null) this.#toggle(number, event.shiftKey);
  }

  /** Arrows move; with Shift they choose what lies between. Space and Enter are clicks of the button. */
  #onKey(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const columns = getComputedStyle(this.element).gridTemplateColumns.split(" ").length;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, PageDown: PART, PageUp: -PART };
    const place = this.#places.get(this.#current);
    const ends = { Home: this.#part * PART, End: Math.min((this.#part + 1) * PART, this.#seats.length) - 1 };
    const wanted = ends[event.key] ?? place + steps[event.key];
    const next = this.#seats[event.key.startsWith("Page") ? Math.min(Math.max(wanted, 0), this.#seats.length - 1) : wanted];
    if (!next) return;
    event.preventDefault();
    if (event.shiftKey && this.#mayChoose) {
      this.#anchor ??= this.#current;
      this.#toggle(next.seat, true);
    }
    this.#show(next.seat);
    this.#buttons.get(next.seat).focus();
    if (event.shiftKey) announce(this.summary.textContent);
  }
}

const numberOf = (target) => {
  const key = target.closest?.(".place")?.dataset.key;
  return key ? Number(key.slice("seat-".length)) : null;
};

function stateWords({ status, userId, heldUntil, blockReason }) {
  const more = { HELD: heldUntil && t("heldUntilWords", { at: moment(heldUntil) }), BLOCKED: blockReason, SOLD: null, AVAILABLE: null }[status];
  return [t(`seat.${status}`), userId, more].filter(Boolean).join(", ");
}
