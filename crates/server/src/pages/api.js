// The calls of this server that the demonstration makes, under the names of their operations in the API description.

import { points, seatNames } from "./amounts.js";
import { currentLanguage, has, t } from "./language.js";
import { at } from "./place.js";
import { settle as settleWrite, write } from "./writes.js";

/** Dispatches an event at the end of each call: `detail` is `{operation, method, path, status, took}`. */
export const calls = new EventTarget();

/** Codes of refusals that are made before the server looks for the idempotency key, and that may pass. All of 401 are such too. */
const BEFORE_KEY = ["not-your-account", "origin-not-allowed", "queue-token-waiting", "not-found", "method-not-allowed"];

/** An answer that is not a success, or a call without an answer. */
export class Problem extends Error {
  constructor(status, body, retryAfter) {
    super(body.detail ?? body.title ?? `The server answered ${status}`);
    Object.assign(this, { status, body, code: body.code, retryAfter });
  }

  /** Whether the same request may be sent again: the outcome is unknown, or nothing was done. */
  get isPassing() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }

  /** The request may have been done. A server that is full, and one that did not get the whole request, did nothing. */
  get isOpen() {
    return this.status === 0 || (this.status >= 500 && this.code !== "overloaded");
  }

  /** The server decided about the key of the request. Without a code, the refusal is that of a proxy. */
  get isDecision() {
    return !this.isPassing && this.status !== 401 && typeof this.code === "string" && !BEFORE_KEY.includes(this.code);
  }

  get isTurnOver() {
    return this.code === "queue-token-expired" || this.code === "queue-token-invalid";
  }

  /** The text for the visitor. In English what the server wrote, which is more exact than a text for each code. */
  get words() {
    const { seats, errors = [] } = this.body;
    const isEnglish = currentLanguage() === "en" || this.status === 0;
    const sentences = [isEnglish ? this.message.replace(/\.?$/, ".") : this.#translated()];
    if (seats?.length) sentences.push(t("refusedSeats", { n: seats.length, seats: seats.join(", ") }));
    for (const { field, message } of errors) {
      if (!this.message.includes(message)) sentences.push(`${field}: ${message}.`);
    }
    if (this.code === "seat-taken" && this.retryAfter) sentences.push(t("mayComeBack", { n: this.retryAfter }));
    if (this.undecided) sentences.push(t("undecidedText", { what: whatOf(this.undecided) }));
    return sentences.join(" ");
  }

  #translated() {
    const name = `refusal.${this.code}`;
    return has(name) ? t(name) : t("refused", { status: this.status, detail: this.message });
  }
}

/** The kind of a write, in words. */
export const whatOf = (what) => (has(`what.${what}`) ? t(`what.${what}`) : what);

/** Milliseconds without a byte after which a call has no answer: longer than the server lets any request wait. */
const PATIENCE = 15_000;

/** Aborts a stalled call. Not `AbortSignal.timeout`: browsers before 2022 lack it, and it would abort a long
 * answer that is still coming in over a slow network. */
class Patience {
  #controller = new AbortController();
  #timer = 0;
  signal = this.#controller.signal;

  renew() {
    this.end();
    this.#timer = setTimeout(() => this.#controller.abort(), PATIENCE);
  }

  end() {
    clearTimeout(this.#timer);
  }
}

async function textOf(response, patience) {
  if (!response.body) return response.text();
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    patience.renew();
    text += decoder.decode(value, { stream: true });
  }
}

/** The path of the next page. Only the query is taken: the page may have been opened at another address than the link's. */
function nextPage(path, link) {
  const target = /<([^>]*)>\s*;\s*rel="?next"?/.exec(link ?? "")?.[1];
  return target && path.split("?")[0] + new URL(target, location.href).search;
}

const none = (detail) => new Problem(0, { code: "no-answer", detail }, 1);

export async function send(operation, method, path, options = {}) {
  const { token, key, body, tag, quiet, keepalive } = options;
  const headers = { Accept: "application/json" };
  if (token) headers["Queue-Token"] = token;
  if (key) headers["Idempotency-Key"] = key;
  if (tag) headers["If-None-Match"] = tag;
  if (body) headers["Content-Type"] = "application/json";
  const began = performance.now();
  const patience = new Patience();
  patience.renew();
  let response, text;
  try {
    const content = body && JSON.stringify(body);
    response = await fetch(at(path), { method, headers, signal: patience.signal, body: content, keepalive, cache: "no-store" });
    text = await textOf(response, patience);
  } catch {
    throw none(t("noAnswer"));
  } finally {
    patience.end();
  }
  if (!quiet) {
    const took = performance.now() - began;
    calls.dispatchEvent(new CustomEvent("call", { detail: { operation, method, path, status: response.status, took } }));
  }
  const next = nextPage(path, response.headers.get("Link"));
  // The answer comes from a proxy, not from this server, so the outcome of the request is unknown.
  const isOurs = response.ok ? isJson(response) || !text : text && isJson(response);
  if (!isOurs && response.status !== 304) throw none(t("otherServer"));
  const answer = {
    status: response.status,
    /** Requests the next page of a list, if there is one. */
    more: next ? () => send(operation, method, next, options) : null,
    tag: response.headers.get("ETag"),
    isReplayed: response.headers.get("Idempotency-Replayed") === "true",
    body: parse(text),
  };
  if (response.ok || response.status === 304) return answer;
  // The page does not know who the visitor is, or not any more.
  if (["authentication-required", "not-your-account"].includes(answer.body?.code)) calls.dispatchEvent(new Event("stranger"));
  throw new Problem(response.status, answer.body ?? {}, Number(response.headers.get("Retry-After")) || null);
}

const isJson = (response) => /^application\/(problem\+)?json\b/.test(response.headers.get("Content-Type") ?? "");

function parse(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

const part = encodeURIComponent;

/** The first entry of a list that `matches`, on whichever of its pages; null if there is none. */
export async function find(firstPage, matches) {
  for (let page = await firstPage; ; page = await page.more()) {
    const found = page.body.find(matches);
    if (found || !page.more) return found ?? null;
  }
}

/** Sends a write once. */
const once = ({ operation, method, path, body, token, quiet, keepalive }, key) =>
  send(operation, method, path, { token, key, body, quiet, keepalive });

/** Sends an undecided write of a visitor again under its key. See `settle` of writes.js. */
export const settle = (record, options) => settleWrite(record, once, options);

export const getPoints = (user, options) => send("getPoints", "GET", `/point/${part(user)}`, { quiet: true, ...options });
export const chargePoints = (user, amount, { token } = {}, onRetry) =>
  write({
    user, slot: "charge", what: "charge", details: points(amount), token,
    operation: "chargePoints", method: "PATCH", path: `/point/${part(user)}/charge`, body: { amount },
  }, once, onRetry);
export const listPointHistories = (user, options) =>
  send("listPointHistories", "GET", `/point/${part(user)}/histories?limit=50`, options);

export const listLectures = () => send("listLectures", "GET", "/lectures?limit=200", { quiet: true });
export const listLectureApplications = (user) =>
  send("listLectureApplications", "GET", `/lectures/application/${part(user)}`, { quiet: true });
/** With `waitlist`, the user waits for a place if there is none. */
export const applyForLecture = (userId, { lectureId, title }, waitlist) =>
  write({
    user: userId, slot: `lecture:${lectureId}`, what: "application", details: title,
    operation: "applyForLecture", method: "POST", path: "/lectures/apply", body: { userId, lectureId, ...(waitlist && { waitlist }) },
  }, once);
export const cancelLectureApplication = (user, { lectureId, title }) =>
  write({
    user, slot: `lecture:${lectureId}`, what: "cancellation", details: title,
    operation: "cancelLectureApplication", method: "DELETE", path: `/lectures/application/${part(user)}/${lectureId}`,
  }, once);

export const listConcerts = () => send("listConcerts", "GET", "/concerts?limit=200", { quiet: true });
export const enterQueue = (userId, concertId, { code, ...options } = {}) =>
  send("enterQueue", "POST", "/queue/tokens", { ...options, body: { userId, concertId, code } });
export const getQueuePlace = (token) => send("getQueuePlace", "GET", "/queue/token", { token, quiet: true });
export const followQueuePlace = (token) => new EventSource(at(`/queue/token/events?token=${part(token)}`));
/** Gives up a place or a turn. With `user`, the call is stored until an answer decides it. */
export const leaveQueue = (token, { user, tokenId, ...options } = {}) =>
  write({
    ...options, user, slot: user && `leave:${tokenId}`, what: "request to leave", details: "", token,
    operation: "leaveQueue", method: "DELETE", path: "/queue/token",
  }, once);

/**
 * Tells the server that this page is closed: the turn is given up after some seconds, unless the page is loaded again. There is no
 * answer, as the page may be gone. The token is in the body, because a message of a page that is closed carries no header.
 */
export const leaveSoon = (token, graceSeconds) =>
  navigator.sendBeacon?.(at("/queue/token/leave"), JSON.stringify({ token, graceSeconds }));

export const listConcertDates = (concert, options) =>
  send("listConcertDates", "GET", `/concerts/${concert}/dates`, { quiet: true, ...options });
/** With `section`, only its seats. */
export const listConcertSeats = (concert, date, { section, ...options } = {}) => {
  const of = section == null ? "" : `&section=${part(section)}`;
  return send("listConcertSeats", "GET", `/concerts/${concert}/seats?date=${date}${of}`, { quiet: true, ...options });
};
export const listConcertSections = (concert, performance, options) =>
  send("listConcertSections", "GET", `/concerts/${concert}/sections?performanceId=${performance}`, { quiet: true, ...options });
export const getDraw = (concert) => send("getDraw", "GET", `/concerts/${concert}/draw`, { quiet: true });
export const getDrawEntry = (concert, tokenId) =>
  send("listDrawEntries", "GET", `/concerts/${concert}/draw/entries?tokenId=${part(tokenId)}`, { quiet: true });
/** `after`: the version of the map, or the id of the last event. */
export const followConcertSeats = (concert, performance, { token, after }) =>
  new EventSource(at(`/concerts/${concert}/seats/events?performanceId=${performance}&after=${part(after)}&token=${part(token)}`));
/** Holds seats. If an earlier hold of this user in the performance is undecided and took effect, that is the answer. */
export const createReservation = (user, performanceId, seats, { token, code, ...options }) =>
  write({
    ...options, user, slot: user && `hold:${performanceId}`, what: "hold", details: seatNames(seats), isChoice: true, token,
    operation: "createReservation", method: "POST", path: "/reservations", body: { performanceId, seats, code },
  }, once);
export const releaseReservation = (user, { reservationId, seats }, { token }) =>
  write({
    user, slot: `release:${reservationId}`, what: "request to give seats back", details: seatNames(seats), token,
    operation: "releaseReservation", method: "DELETE", path: `/reservations/${reservationId}`,
  }, once);
export const createPayment = (user, concertId, { reservationId, seats }, { token, about }, onRetry) =>
  write({
    user, slot: `pay:${concertId}:${reservationId}`, what: "payment", details: seatNames(seats), about, token,
    operation: "createPayment", method: "POST", path: "/payments", body: { reservationId },
  }, once, onRetry);
/** Sends a decided payment again under its key, which returns the first answer. */
export const repeatPayment = (reservationId, { token, key }) =>
  send("createPayment", "POST", "/payments", { token, key, body: { reservationId } });
export const getReservation = (reservation) =>
  send("getReservation", "GET", `/reservations/${reservation}`, { quiet: true });
export const listPaymentTickets = (payment) =>
  send("listPaymentTickets", "GET", `/payments/${payment}/tickets`, { quiet: true });
export const listUserReservations = (user) =>
  send("listUserReservations", "GET", `/users/${part(user)}/reservations?limit=50`, { quiet: true });
export const listUserTickets = (user) => send("listUserTickets", "GET", `/users/${part(user)}/tickets?limit=200`, { quiet: true });
export const listUserWaitlists = (user) => send("listUserWaitlists", "GET", `/users/${part(user)}/waitlists`, { quiet: true });
/** The visitor's places in all waiting rooms, with their tokens: those of other devices too. */
export const listUserQueueTokens = (user) => send("listUserQueueTokens", "GET", `/users/${part(user)}/queue-tokens`, { quiet: true });
export const listUserPayments = (user) =>
  send("listUserPayments", "GET", `/users/${part(user)}/payments?limit=50`, { quiet: true });

export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Makes the same request up to four times while no answer decides it. For requests that are idempotent by themselves. */
export async function persist(request, onRetry = () => {}) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await request();
    } catch (problem) {
      if (!(problem instanceof Problem) || !problem.isPassing || attempt === 4) throw problem;
      onRetry(attempt, problem);
      await pause((problem.retryAfter ?? 1) * 1000);
    }
  }
}
