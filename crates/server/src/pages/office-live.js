// The live figures: one stream of server-sent events, opened again after every loss, and what was seen in the last minutes.

import { health } from "./office-health.js";
import { session } from "./office-session.js";
import { at } from "./place.js";

/** Seconds of history that the charts show. */
export const SPAN = 180;

/** Milliseconds without an event after which the stream counts as lost. */
const SILENCE_MAX = 6_000;

const RETRY = 1_500;

const sum = (rows, name) => rows.reduce((total, row) => total + (row[name] ?? 0), 0);

/** Percentiles of all routes and instances together: the highest one that was measured. */
const worst = (instances, name) => Math.max(0, ...instances.flatMap(({ routes }) => routes).map((route) => route[name] ?? 0));

/** The figures of the charts at one moment. */
export function pointOf({ asOf, rooms, performances, instances }) {
  return {
    at: Date.parse(asOf),
    waiting: sum(rooms, "waiting"), active: sum(rooms, "active"), sold: sum(performances, "sold"), held: sum(performances, "held"),
    refusals: sum(instances.flatMap(({ refusals }) => refusals), "count"),
    latency: worst(instances, "p99Ms"),
  };
}

/** Kept while the back office is open, so that the charts are not empty while another view is shown. */
const history = [];

/** Dispatches `live` with each state, and `stale` if the figures on the page are old. Ends with `signal`. */
export class Live extends EventTarget {
  #stream = null;
  #timer = 0;
  #silence = 0;
  #signal;
  last = null;

  constructor(signal) {
    super();
    this.#signal = signal;
    signal.addEventListener("abort", () => this.#close());
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#close() : this.#open()), { signal });
    health.addEventListener("back", () => this.#open(), { signal });
    this.#open();
  }

  get history() {
    return history;
  }

  #open() {
    this.#close();
    if (document.hidden || this.#signal.aborted) return;
    const stream = new EventSource(at("/admin/live"));
    this.#stream = stream;
    this.#listen();
    stream.addEventListener("live", ({ data }) => {
      this.#listen();
      this.last = JSON.parse(data);
      this.#note(pointOf(this.last));
      this.dispatchEvent(new Event("live"));
    });
    stream.addEventListener("unavailable", () => {
      this.#listen();
      this.#stale();
    });
    stream.addEventListener("error", () => {
      if (stream !== this.#stream) return;
      this.#stale();
      // A refusal, such as that of an ended session, closes the stream for good.
      if (stream.readyState === EventSource.CLOSED) this.#again();
    });
  }

  /** Adds a point to the history. A clock that went back begins a new one. */
  #note(point) {
    const last = history.at(-1);
    if (last && point.at < last.at) history.length = 0;
    if (last?.at !== point.at) history.push(point);
    while (history[0].at < point.at - SPAN * 1_000) history.shift();
  }

  /** Any event is a sign of life; a stream without one is opened again. */
  #listen() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      this.#stale();
      this.#again();
    }, SILENCE_MAX);
  }

  #stale() {
    health.look();
    this.dispatchEvent(new Event("stale"));
  }

  #again() {
    this.#close();
    this.#timer = setTimeout(async () => {
      try {
        if (!(await session.load())) await session.renew();
      } catch {
        // The server is away: the stream is tried, and fails, until it is back.
      }
      if (!this.#stream) this.#open();
    }, RETRY);
  }

  #close() {
    clearTimeout(this.#timer);
    clearTimeout(this.#silence);
    this.#stream?.close();
    this.#stream = null;
  }
}
