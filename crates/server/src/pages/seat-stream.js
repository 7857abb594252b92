// The seats of one performance as they change: from an event stream that all tabs share, or from the tab that has it.
//
// As the stream of places in line, one tab at a time has it: the one that holds a lock of the browser. It forwards each event to the
// other tabs. A tab out of sight has no stream. A tab without events polls, as does a tab that shows another performance.

import * as api from "./api.js";
import { tabs, tell } from "./tabs.js";

const STREAM_LOCK = "onsale:seats";
const TICK = 500;

/** Milliseconds without an event after which a stream counts as dead. The server sends one every 10 seconds. */
const SILENCE_MAX = 15_000;

/** Milliseconds after which a refused stream is requested again, plus a random time of up to as much. */
const REFUSED = 3_000;

/** Events that are kept for a map whose request is under way. */
const RECENT_MAX = 50;

/** The state of an `EventSource` that the server refused. */
const CLOSED = 2;

const canShare = Boolean(navigator.locks) && typeof EventSource === "function" && typeof BroadcastChannel === "function";

const STATUSES = { available: "AVAILABLE", held: "HELD", sold: "SOLD", blocked: "BLOCKED" };

/** The seats after an event. Seats that did not change are the same objects. `places`: where in the list a number is. */
export function changed(seats, places, data) {
  const next = seats.slice();
  for (const [member, status] of Object.entries(STATUSES)) {
    for (const [from, to] of data[member]) {
      for (let number = from; number <= to; number++) {
        const place = places.get(number);
        if (place != null && next[place].status !== status) next[place] = { ...next[place], status };
      }
    }
  }
  return next;
}

/** Dispatches `seats` after each change, `stale` if the map must be read again, and `end` with the turn. */
export class SeatStream extends EventTarget {
  #concertId;
  #token;
  #signal;
  /** The map: performance, version, id of the last event, seats, and where in the list each number is. */
  #map = null;
  #recent = [];
  #heardAt = 0;
  #stream = null;
  #streamAt = 0;
  #refused = REFUSED * (1 + Math.random());
  /** Ends the wait for the lock, or the hold on it. */
  #lease = null;
  #isHolder = false;

  constructor(concertId, token, signal) {
    super();
    this.#concertId = concertId;
    this.#token = token;
    this.#signal = signal;
    tabs.addEventListener("seats", ({ detail }) => this.#hear(detail), { signal });
    document.addEventListener("visibilitychange", () => this.#fit(), { signal });
    addEventListener("pagehide", () => this.#leave(), { signal });
    addEventListener("pageshow", () => this.#fit(), { signal });
    const timer = setInterval(() => this.#tick(), TICK);
    signal.addEventListener("abort", () => {
      clearInterval(timer);
      this.#leave();
    });
  }

  /** Whether events keep the map up to date, so that no poll is needed. */
  get isLive() {
    return this.#map !== null && Date.now() - this.#heardAt < SILENCE_MAX;
  }

  /** Whether this tab has the stream. */
  get isOwn() {
    return this.#stream !== null;
  }

  get seats() {
    return this.#map?.seats ?? [];
  }

  /** Continues from a map that was just read. Returns the seats to show: they may be newer. */
  follow({ performanceId, version, seats }) {
    if (this.#map?.performanceId !== performanceId) {
      this.stop();
    } else if (version < this.#map.version && this.isLive) {
      return this.#map.seats;
    }
    const places = new Map(seats.map(({ seat }, place) => [seat, place]));
    this.#map = { performanceId, version, position: version, seats, places };
    for (const message of this.#recent) {
      if (message.performanceId === performanceId && message.kind === "changes") this.#apply(message);
    }
    this.#fit();
    return this.#map.seats;
  }

  /** Follows nothing until the next map. */
  stop() {
    this.#map = null;
    this.#heardAt = 0;
    this.#close();
  }

  #close() {
    this.#stream?.close();
    this.#stream = null;
  }

  /** Closes the stream and lets another tab have one. */
  #leave() {
    this.#close();
    this.#isHolder = false;
    this.#lease?.abort();
    this.#lease = null;
  }

  #fit() {
    if (this.#signal.aborted || !canShare) return;
    if (document.hidden || document.visibilityState === "hidden") return this.#leave();
    if (!this.#lease) this.#enter();
    else if (this.#isHolder && this.#map && !this.#stream) this.#open();
  }

  #enter() {
    const lease = (this.#lease = new AbortController());
    const held = () => new Promise((resolve) => {
      lease.signal.addEventListener("abort", resolve);
      if (lease.signal.aborted) return resolve();
      this.#isHolder = true;
      if (this.#map) this.#open();
    });
    // Refused if the wait was given up.
    navigator.locks.request(STREAM_LOCK, { signal: lease.signal }, held).catch(() => {});
  }

  #open() {
    this.#close();
    const { performanceId, position } = this.#map;
    const stream = (this.#stream = api.followConcertSeats(this.#concertId, performanceId, { token: this.#token, after: position }));
    this.#streamAt = Date.now();
    const send = (kind, { data, lastEventId }) => {
      this.#streamAt = Date.now();
      const message = { performanceId, kind, position: lastEventId, data: JSON.parse(data) };
      tell("seats", message);
      this.#hear(message);
    };
    stream.addEventListener("message", (event) => send("changes", event));
    stream.addEventListener("reset", (event) => send("reset", event));
    stream.addEventListener("end", () => {
      this.stop();
      this.dispatchEvent(new Event("end"));
    });
    // It reconnects by itself, unless it was refused. Until then the page polls.
    stream.addEventListener("error", () => (this.#heardAt = 0));
  }

  #tick() {
    if (!this.#stream) return;
    const patience = this.#stream.readyState === CLOSED ? this.#refused : SILENCE_MAX;
    if (Date.now() - this.#streamAt > patience) this.#open();
  }

  #hear(message) {
    if (this.#signal.aborted) return;
    this.#recent.push(message);
    if (this.#recent.length > RECENT_MAX) this.#recent.shift();
    if (message.performanceId !== this.#map?.performanceId) return;
    if (message.kind === "reset") {
      this.#recent = [];
      this.stop();
      return this.dispatchEvent(new Event("stale"));
    }
    this.#heardAt = Date.now();
    if (this.#apply(message)) this.dispatchEvent(new Event("seats"));
  }

  /** Applies an event to the map. Returns false if the map is newer. */
  #apply({ data, position }) {
    const map = this.#map;
    if (data.version < map.version) return false;
    this.#map = { ...map, version: data.version, position, seats: changed(map.seats, map.places, data) };
    return true;
  }
}
