// What this door knows of the tickets of a performance, and how it judges a ticket without the server.

import { isSigned, parse, seatOf } from "./door-code.js";

/**
 * The lists of a performance, from manifests of the server and from the scans at this door. `info` is
 * `{title, venue, startsAt, cancelled, version, keys, readAt}`, null until the first manifest.
 */
export class Lists {
  /** Checked-in tickets by seat. */
  #ofSeats = new Map();

  constructor(performanceId, info = null, kept = null) {
    this.performanceId = performanceId;
    this.info = info;
    this.void = new Set(kept?.void);
    this.checkedIn = new Set(kept?.checkedIn);
    /** Tickets that this door admitted, each with the time of its scan. */
    this.own = new Map();
    for (const ticket of this.checkedIn) this.#sit(ticket);
  }

  /** Whether a manifest was ever read. */
  get isKnown() {
    return this.info !== null;
  }

  get version() {
    return this.info?.version ?? null;
  }

  /** Milliseconds since the lists were read. */
  get age() {
    return this.info ? Math.max(0, Date.now() - this.info.readAt) : null;
  }

  /** Tickets that are checked in: here, or at another door that the lists know of. */
  get admitted() {
    return new Set([...this.checkedIn, ...this.own.keys()]).size;
  }

  /** Takes a manifest of the server: everything, or what changed since the version before. Returns whether anything changed. */
  take(manifest) {
    const { title, venue, startsAt, cancelled, version, keys, undone, checkedIn } = manifest;
    for (const ticket of manifest.void) this.void.add(ticket);
    for (const ticket of undone) this.undo(ticket);
    for (const ticket of checkedIn) {
      this.checkedIn.add(ticket);
      this.#sit(ticket);
    }
    this.info = { title, venue, startsAt, cancelled, version, keys, readAt: Date.now() };
    return manifest.void.length + undone.length + checkedIn.length > 0;
  }

  /** Notes that this door admitted a ticket. */
  admit(ticketId, at) {
    this.own.set(ticketId, at);
    this.#sit(ticketId);
  }

  /** Notes that a check-in was undone, or was never made. */
  undo(ticketId) {
    this.own.delete(ticketId);
    this.checkedIn.delete(ticketId);
    this.#ofSeats.get(seatOf(ticketId))?.delete(ticketId);
  }

  /** The tickets to keep. */
  kept() {
    return { void: [...this.void], checkedIn: [...this.checkedIn] };
  }

  /** Another ticket of the same seat that is checked in; null if there is none. */
  otherOfSeat(ticketId) {
    const others = this.#ofSeats.get(seatOf(ticketId)) ?? [];
    return [...others].find((other) => other !== ticketId) ?? null;
  }

  #sit(ticketId) {
    const seat = seatOf(ticketId);
    const tickets = this.#ofSeats.get(seat);
    if (tickets) tickets.add(ticketId);
    else this.#ofSeats.set(seat, new Set([ticketId]));
  }

  /**
   * Judges `{code}` or `{ticketId}` by what is known here: `{verdict, ticketId, seat, at}`. The verdict is `ok`, `invalid`, `other`,
   * `void`, `twice`, `same-seat`, or `unknown` if only the server can decide.
   */
  async judge({ code, ticketId: typed }) {
    const read = code ? parse(code) : { ticketId: typed };
    if (!read) return { verdict: "invalid" };
    const { ticketId } = read;
    const seat = seatOf(ticketId);
    if (!this.isKnown) return { verdict: "unknown", ticketId, seat };
    // The seat in the id is the one in the code: nothing else was ever signed.
    if (code && (read.seat !== seat || !(await isSigned(read, this.info.keys)))) return { verdict: "invalid" };
    if (code && read.performanceId !== this.performanceId) return { verdict: "other", ticketId };
    const found = (verdict, rest) => ({ verdict, ticketId, seat, ...rest });
    if (this.info.cancelled || this.void.has(ticketId)) return found("void");
    if (this.own.has(ticketId)) return found("twice", { at: this.own.get(ticketId) });
    if (this.checkedIn.has(ticketId)) return found("twice");
    if (this.otherOfSeat(ticketId)) return found("same-seat");
    return found(code ? "ok" : "unknown");
  }
}
