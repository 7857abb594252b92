// Scans on their way to the server. Each is kept in the browser before it is sent, and until the server has answered it.

import { Problem, send } from "./api.js";
import { putScans, waitingScans } from "./door-store.js";

/** Milliseconds after which the door decides by its own lists. The answer of the server still counts when it comes. */
const SERVER_MAX = 2_500;

/** Scans in one request; the server takes 1,000. */
const BATCH = 500;

/** Milliseconds between attempts to send what waits. */
export const SEND_EVERY = 4_000;

/** The verdict of an answer, in the words of door-lists.js. */
const VERDICTS = {
  "ticket-invalid": "invalid", "ticket-other-performance": "other", "ticket-void": "void", "already-checked-in": "twice",
};

const bodyOf = ({ performanceId, code, ticketId, isTyped, device, scanId, scannedAt }) =>
  ({ performanceId, ...(isTyped ? { ticketId } : { code }), device, scanId, scannedAt, deviceNow: new Date().toISOString() });

/** Dispatches `answered` with the scan, `change` if the number that waits may differ, and `refused` with a problem of the session. */
export class Queue extends EventTarget {
  waiting = 0;
  isOnline = navigator.onLine;
  #flushing = null;

  async start() {
    this.waiting = (await waitingScans()).length;
    this.dispatchEvent(new Event("change"));
  }

  /** Keeps a scan, and resolves once the server answered it, or with the scan as it was if that takes too long. */
  async add(scan) {
    await putScans([{ ...scan, waiting: 1 }]);
    this.#count(1);
    const answer = this.#single(scan).catch((problem) => this.#fail(problem));
    const late = new Promise((resolve) => setTimeout(resolve, SERVER_MAX, null));
    return (await Promise.race([answer, late])) ?? scan;
  }

  /** Sends what waits, by batches. Calls that come meanwhile share one attempt. */
  flush() {
    this.#flushing ??= this.#flush().catch((problem) => this.#fail(problem)).finally(() => (this.#flushing = null));
    return this.#flushing;
  }

  async #single(scan) {
    let answer;
    try {
      const { status, body } = await send("createCheckIn", "POST", "/check-ins", { body: bodyOf(scan), quiet: true });
      answer = { status, checkIn: body };
    } catch (problem) {
      if (!isAnswer(problem)) throw problem;
      answer = { ...problem.body, status: problem.status };
    }
    return this.#settle(scan, answer);
  }

  async #flush() {
    for (;;) {
      const scans = (await waitingScans()).slice(0, BATCH);
      if (!scans.length) return;
      let answers;
      try {
        const body = { checkIns: scans.map(bodyOf) };
        answers = (await send("createCheckIns", "POST", "/check-ins/batch", { body, quiet: true })).body;
      } catch (problem) {
        // One scan that the server cannot read must not hold up the others.
        if (!(problem instanceof Problem) || problem.status !== 422) throw problem;
        for (const scan of scans) await this.#single(scan);
        continue;
      }
      for (const [index, scan] of scans.entries()) await this.#settle(scan, answers[index]);
    }
  }

  async #settle(scan, { status, code = null, checkIn = null, checkedInAt = null, device = null }) {
    const { waiting, ...rest } = scan;
    const verdict = status === 201 ? "ok" : VERDICTS[code] ?? "invalid";
    const answered = {
      ...rest, status, code, verdict, checkInId: checkIn?.checkInId ?? null, seat: checkIn?.seat ?? scan.seat ?? null,
      ticketId: checkIn?.ticketId ?? scan.ticketId ?? null, firstAt: checkedInAt, firstDevice: device,
      // The visitor is inside, and the server reports that this ticket opens no door.
      isContradiction: scan.wasAdmitted === true && verdict !== "ok",
    };
    await putScans([answered]);
    this.#online(true);
    this.waiting = (await waitingScans()).length;
    this.dispatchEvent(new CustomEvent("answered", { detail: answered }));
    this.#count(0);
    return answered;
  }

  #count(more) {
    this.waiting += more;
    this.dispatchEvent(new Event("change"));
  }

  #online(isOnline) {
    if (this.isOnline === isOnline) return;
    this.isOnline = isOnline;
    this.dispatchEvent(new Event("change"));
  }

  /** Notes why nothing was sent. Returns null: the scan waits. */
  #fail(problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.isPassing) this.#online(false);
    else this.dispatchEvent(new CustomEvent("refused", { detail: problem }));
    return null;
  }

  /** Notes that the server answered, or did not answer, another call. */
  note(isOnline) {
    this.#online(isOnline);
  }
}

/** Whether a problem is the server's decision about a scan, and not about the session or the connection. */
const isAnswer = (problem) =>
  problem instanceof Problem && (problem.code in VERDICTS || ["performance-not-found", "invalid-request"].includes(problem.code));
