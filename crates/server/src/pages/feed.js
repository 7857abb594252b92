// Updates of one place in line: from an event stream that all tabs share, from another tab, or from polls.
//
// A browser opens six connections to a server over HTTP/1.1, for all tabs together, so only one tab at a time has a stream: the
// one that holds a lock of the browser. It forwards each event to the other tabs with its token. A tab out of sight has no stream. A tab
// that receives nothing for the interval that the server returned polls; each poll, and each open stream, is a sign of life.

import * as api from "./api.js";
import { tabs, tell } from "./tabs.js";

const STREAM_LOCK = "onsale:stream";
const TICK = 500;

/** Milliseconds without an event after which a stream counts as dead. The server repeats the state every 10 seconds. */
const SILENCE_MAX = 15_000;

/** Milliseconds for which one word of the tab with the stream counts. It is given with each tick. */
const STREAMING = 3_500;

/** Seconds between polls of an active turn, for which the server sends no `pollAfterSeconds`. */
const ACTIVE_POLL = 2;

/** Milliseconds without an answer after which the connection counts as lost. */
const ANSWER_MAX = 5_000;

/** Milliseconds between attempts while the connection is lost, at most. */
const RETRY_MAX = 8_000;

/** Milliseconds after which a refused stream is requested again, plus a random time of up to as much. */
const REFUSED = 3_000;

/** States of an `EventSource`, also in browsers without it. */
const [OPEN, CLOSED] = [1, 2];

/** Whether one tab can have a stream for all of them. Plain http to another machine has no locks: each tab polls there. */
const canShare = Boolean(navigator.locks) && typeof EventSource === "function" && typeof BroadcastChannel === "function";

const isHidden = () => document.hidden || document.visibilityState === "hidden";

/** Dispatches `place` with each state, `lost` and `found` with the connection, and `gone` with the problem if there is no such place. */
export class Feed extends EventTarget {
  #end = new AbortController();
  #last;
  #heardAt = Date.now();
  #pollAt;
  #pollingSince = 0;
  #failures = 0;
  #isLost = false;
  #stream = null;
  #streamAt = 0;
  #refused = REFUSED * (1 + Math.random());
  #streamedElsewhereUntil = 0;
  /** Ends the wait for the lock, or the hold on it. */
  #lease = null;
  #worker = null;

  constructor(place) {
    super();
    this.token = place.token;
    this.#last = place;
    this.#pollAt = this.#after(place);
    const { signal } = this.#end;
    tabs.addEventListener("place", ({ detail }) => this.#isOurs(detail) && this.#hear(detail), { signal });
    tabs.addEventListener("streaming", ({ detail }) => {
      if (this.#isOurs(detail)) this.#streamedElsewhereUntil = Date.now() + STREAMING;
    }, { signal });
    document.addEventListener("visibilitychange", () => this.#fit(), { signal });
    addEventListener("pagehide", () => this.#leave(), { signal });
    addEventListener("pageshow", () => this.#fit(), { signal });
    // The server may be on this machine: only a poll shows whether it is out of reach.
    for (const event of ["online", "offline"]) addEventListener(event, () => this.refresh(), { signal });
    const timer = setInterval(() => this.#tick(), TICK);
    signal.addEventListener("abort", () => clearInterval(timer));
    this.#fit();
  }

  /** The instant, by the visitor's clock, of the last word of the server. */
  get heardAt() {
    return this.#heardAt;
  }

  get isLost() {
    return this.#isLost;
  }

  /** Polls the server now. */
  refresh() {
    this.#pollAt = 0;
    if (!this.#end.signal.aborted) this.#poll();
  }

  close() {
    this.#end.abort();
    this.#leave();
    this.#tickInWorker(false);
  }

  #isOurs({ tokenId }) {
    return tokenId === this.#last.tokenId;
  }

  /** The time of the next poll after a state. Randomised, so that the tabs do not poll at the same time. */
  #after({ pollAfterSeconds }) {
    return Date.now() + (pollAfterSeconds ?? ACTIVE_POLL) * 1000 + Math.random() * 300;
  }

  /** A page in sight wants the stream, one out of sight gives it up and is kept awake by a worker. */
  #fit() {
    if (this.#end.signal.aborted) return;
    this.#tickInWorker(isHidden());
    if (isHidden()) return this.#leave();
    if (canShare && !this.#lease) this.#enter();
    this.#tick();
  }

  #tickInWorker(isWanted) {
    if (isWanted === Boolean(this.#worker)) return;
    this.#worker?.terminate();
    this.#worker = null;
    if (!isWanted || typeof Worker !== "function") return;
    try {
      this.#worker = new Worker(new URL("./ticker.js", import.meta.url));
      this.#worker.onmessage = () => this.#tick();
      this.#worker.onerror = () => {};
      this.#worker.postMessage(TICK);
    } catch {
      // The timer of the page goes on, if slowly.
    }
  }

  #enter() {
    const lease = (this.#lease = new AbortController());
    const held = () => new Promise((resolve) => {
      lease.signal.addEventListener("abort", resolve);
      if (lease.signal.aborted) resolve();
      else this.#open();
    });
    // Refused if the wait was given up.
    navigator.locks.request(STREAM_LOCK, { signal: lease.signal }, held).catch(() => {});
  }

  /** Closes the stream and lets another tab have one. */
  #leave() {
    this.#stream?.close();
    this.#stream = null;
    this.#lease?.abort();
    this.#lease = null;
  }

  #open() {
    this.#stream?.close();
    const stream = (this.#stream = api.followQueuePlace(this.token));
    this.#streamAt = Date.now();
    for (const name of ["early", "position", "active", "expired"]) {
      stream.addEventListener(name, ({ data }) => {
        this.#streamAt = Date.now();
        const place = JSON.parse(data);
        tell("place", place);
        this.#hear(place);
      });
    }
    // It reconnects by itself, unless it was refused. When it breaks, a poll finds the cause at once; reconnects that
    // fail after that leave the polls to their schedule, which backs off and follows `Retry-After`.
    let wasOpen = false;
    stream.addEventListener("open", () => (wasOpen = true));
    stream.addEventListener("error", () => {
      if (wasOpen && this.#failures === 0) this.refresh();
      wasOpen = false;
    });
  }

  get #isStreaming() {
    return this.#stream?.readyState === OPEN && Date.now() - this.#streamAt < SILENCE_MAX;
  }

  #tick() {
    if (this.#end.signal.aborted) return;
    const now = Date.now();
    if (this.#isStreaming) tell("streaming", { tokenId: this.#last.tokenId });
    const patience = this.#stream?.readyState === CLOSED ? this.#refused : SILENCE_MAX;
    const isSilent = this.#stream && now - this.#streamAt > patience;
    // Opened anew only if the server answers: a poll that fails sets `#isLost`.
    if (isSilent && !this.#isLost) this.#open();
    if (this.#pollingSince && now - this.#pollingSince > ANSWER_MAX) this.#lose();
    const isServed = !isSilent && (this.#isStreaming || now < this.#streamedElsewhereUntil);
    if (now >= this.#pollAt && (!isServed || this.#isLost)) this.#poll();
  }

  async #poll() {
    if (this.#pollingSince) return;
    this.#pollingSince = Date.now();
    try {
      const { body } = await api.getQueuePlace(this.token);
      tell("place", body);
      this.#hear(body);
    } catch (problem) {
      if (!(problem instanceof api.Problem)) throw problem;
      this.#fail(problem);
    } finally {
      this.#pollingSince = 0;
    }
  }

  #fail(problem) {
    if (this.#end.signal.aborted) return;
    if (!problem.isPassing) {
      this.close();
      this.dispatchEvent(new CustomEvent("gone", { detail: problem }));
      return;
    }
    this.#failures++;
    const seldom = Math.min(RETRY_MAX, Math.max(1, this.#last.pollAfterSeconds ?? ACTIVE_POLL) * 1000);
    const wait = Math.min(seldom, 500 * 2 ** this.#failures) * (0.75 + Math.random() / 2);
    this.#pollAt = Date.now() + Math.max(wait, problem.status === 0 ? 0 : (problem.retryAfter ?? 0) * 1000);
    // A server that answers with `Retry-After` is reachable.
    if (problem.status !== 429) this.#lose();
  }

  #lose() {
    if (this.#isLost) return;
    this.#isLost = true;
    this.dispatchEvent(new Event("lost"));
  }

  #hear(place) {
    if (this.#end.signal.aborted) return;
    this.#heardAt = Date.now();
    this.#failures = 0;
    this.#pollAt = this.#after(place);
    if (this.#isLost) {
      this.#isLost = false;
      this.dispatchEvent(new Event("found"));
    }
    // Instances may differ by a quarter of a second: an older state does not replace a newer one.
    const older = Date.parse(this.#last.asOf) - Date.parse(place.asOf);
    if (older > 0 && older < 2_000) return;
    this.#last = place;
    if (place.status === "EXPIRED") this.close();
    this.dispatchEvent(new CustomEvent("place", { detail: place }));
  }
}
