// Simulated visitors, so that a single visitor sees a line move. They enter the same waiting room by the
// same calls; admitted visitors wait a moment, a few hold a seat briefly, and all leave. They buy nothing.

import { whole } from "./amounts.js";
import * as api from "./api.js";
import { fill, h, repeat } from "./dom.js";
import { t } from "./language.js";
import { randomKey } from "./session.js";

/** Whether this server is a demonstration: only then simulated visitors are offered. */
export const HAS_CROWD = document.querySelector('meta[name="onsale-demo"]')?.content === "true";

const SIZES = [30, 100, 300, 1_000];

/** Requests under way at once. A browser opens six connections to a server, and the visitor needs some. */
const HANDS = 3;

const LOOK_EVERY = 500;
const HOLDERS_MAX = 5;

/** How long an admitted visitor stays, in milliseconds. */
const stay = () => 2_000 + Math.random() * 5_000;

/** Crowds outlive the view that started them: they keep waiting when the visitor opens another view. */
const crowds = new Map();

class Crowd extends EventTarget {
  #hands = HANDS;
  #queue = [];
  /** The simulated visitors in line, in the order of their entry. */
  #line = [];
  #performances = null;
  /** Tokens of the simulated visitors who may hold seats. */
  #holders = new Set();
  #stop = null;
  coming = 0;
  inside = 0;
  gone = 0;

  constructor(concert) {
    super();
    this.concert = concert;
    // Seats should not stay held for minutes by people whose browser is gone.
    addEventListener("pagehide", () => {
      for (const token of this.#holders) api.leaveQueue(token, { quiet: true, keepalive: true }).catch(() => {});
    });
  }

  get waiting() {
    return this.#line.length;
  }

  bring(count) {
    const name = randomKey().slice(0, 6);
    this.coming += count;
    for (let index = 1; index <= count; index++) this.#do(() => this.#enter(`crowd-${name}-${index}`));
    this.#stop ??= repeat(LOOK_EVERY, () => this.#look());
    this.#tell();
  }

  /** Runs `task` when a request slot is free. Failed entries are retried after a wait; other failures are ignored. */
  #do(task) {
    this.#queue.push(task);
    this.#work();
  }

  async #work() {
    if (this.#hands === 0) return;
    const task = this.#queue.shift();
    if (!task) return;
    this.#hands--;
    try {
      await task();
    } catch (problem) {
      if (!(problem instanceof api.Problem)) throw problem;
    } finally {
      this.#hands++;
      this.#work();
    }
  }

  async #enter(user) {
    let place;
    try {
      place = (await api.persist(() => api.enterQueue(user, this.concert.concertId, { quiet: true }))).body;
    } finally {
      this.coming--;
      this.#tell();
    }
    if (place.status === "ACTIVE") this.#admit(place.token);
    else this.#line.push(place.token);
    this.#tell();
  }

  /** Finds the last admitted visitor with few polls (exponential, then binary search), as admission is in order. */
  async #look() {
    const isCalled = async (index) => {
      const { body } = await api.getQueuePlace(this.#line[index]);
      return body.status !== "EARLY" && body.status !== "WAITING";
    };
    try {
      let called = 0;
      let step = 1;
      while (called + step <= this.#line.length && (await isCalled(called + step - 1))) [called, step] = [called + step, step * 2];
      while (step > 1) {
        step = Math.floor(step / 2);
        if (called + step <= this.#line.length && (await isCalled(called + step - 1))) called += step;
      }
      for (const token of this.#line.splice(0, called)) this.#admit(token);
    } catch (problem) {
      if (!(problem instanceof api.Problem)) throw problem;
    }
    if (!this.waiting && !this.inside && !this.coming) {
      this.#stop?.();
      this.#stop = null;
    }
    this.#tell();
  }

  #admit(token) {
    this.inside++;
    const isHolder = this.#holders.size < HOLDERS_MAX && Math.random() < 0.2;
    if (isHolder) this.#holders.add(token);
    const leave = () => this.#do(async () => {
      try {
        await api.leaveQueue(token, { quiet: true });
      } finally {
        this.inside--;
        this.gone++;
        this.#holders.delete(token);
        this.#tell();
      }
    });
    if (isHolder) this.#do(() => this.#hold(token));
    setTimeout(leave, stay());
  }

  async #hold(token) {
    const { concertId } = this.concert;
    this.#performances ??= (await api.listConcertDates(concertId, { token })).body;
    const { date, performanceId } = this.#performances[Math.floor(Math.random() * this.#performances.length)] ?? {};
    if (!date) return;
    const { body } = await api.listConcertSeats(concertId, date, { token });
    const seats = body.performances.find((known) => known.performanceId === performanceId)?.seats ?? [];
    const free = seats.filter(({ status }) => status === "AVAILABLE").map(({ seat }) => seat);
    const first = free[Math.floor(Math.random() * free.length)];
    if (first) await api.createReservation(null, performanceId, [first, first + 1].filter((seat) => free.includes(seat)), { token, quiet: true });
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}

export function crowdCard(concert, signal) {
  const crowd = crowds.get(concert.concertId) ?? new Crowd(concert);
  crowds.set(concert.concertId, crowd);
  const hint = h("p", { class: "hint" });
  const choice = h("fieldset", { class: "segments" }, h("legend", { class: "hidden" }, t("crowdHow")), SIZES.map((size) => {
    const input = h("input", { type: "radio", name: "crowd", value: String(size), checked: size === 300 });
    return h("label", {}, input, h("span", {}, whole(size)));
  }));
  const bring = () => crowd.bring(Number(choice.querySelector(":checked").value));
  const show = () => {
    const { coming, waiting, inside, gone } = crowd;
    const parts = Object.entries({ coming, waiting, inside, gone }).map(([name, n]) => n > 0 && t(`crowd.${name}`, { n }));
    fill(hint, parts.filter(Boolean).join(" · ") || t("crowdHint"));
  };
  crowd.addEventListener("change", show, { signal });
  show();
  return h("section", { class: "card crowd", "aria-label": t("crowdBring") },
    h("h2", {}, t("crowdTitle")), choice,
    h("button", { type: "button", class: "wide", on: { click: bring } }, t("crowdBring")), hint);
}
