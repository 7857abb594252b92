// Writes that may be sent again. Each keeps its idempotency key, over reloads and in all tabs, until an answer decides it:
// it acts once even if answers are lost.

import { kept, randomKey } from "./session.js";
import { tell } from "./tabs.js";

/** Attempts of one call before the page asks the visitor whether to go on. */
const ATTEMPTS = 4;

/** Seconds. If the server requires a longer wait, the page asks the visitor at once. */
const RETRY_AFTER_MAX = 15;

/** Milliseconds. The server keeps keys for 24 hours; sent again after that, a write would be done a second time. */
const KEY_LIVES = 23 * 3_600_000;

/** Milliseconds after which a write of another tab, or of this page before a reload, counts as undecided. */
const GRACE = 2_000;

const PREFIX = "write:";

/**
 * Dispatches `change` when the list of undecided writes may be another one, `done` with `{user, operation}` after each write
 * of a visitor that took effect in this tab, and `settled` with `{wish, problem}` when an earlier write was decided:
 * `problem` is what refused it, or null.
 */
export const writes = new EventTarget();

/** Names of the writes that this tab has under way. */
const underWay = new Set();

/** The last write of each name in this tab: the next one waits for its end. */
const queues = new Map();

const nameOf = ({ user, slot }) => `${PREFIX}${user}:${slot}`;

const isSame = (one, other) => JSON.stringify([one.method, one.path, one.body]) === JSON.stringify([other.method, other.path, other.body]);

const isTooOld = ({ at }) => Date.now() - at > KEY_LIVES;

/** A stored write; null if there is none. Its call or its page ended without a decision: an attempt may have been done. */
function found(name) {
  const record = kept.get(name);
  return record && { ...record, isUnknown: true };
}

const dispatch = (kind, detail) => writes.dispatchEvent(new CustomEvent(kind, { detail }));

const changed = () => dispatch("change");

function remember(name, record) {
  kept.set(name, record);
  changed();
}

/** Runs tasks of one name one after another, over all tabs if the browser has locks. */
function alone(name, task) {
  const locked = () => (navigator.locks ? navigator.locks.request(`onsale:${name}`, task) : task());
  const next = (queues.get(name) ?? Promise.resolve()).then(locked);
  queues.set(name, next.catch(() => {}));
  return next;
}

/**
 * Sends a write until an answer decides it, up to four times. `wish` is `{user, slot, what, operation, method, path, body,
 * token}`: a user has at most one undecided write in a slot. `send(wish, key)` sends it once. Without a slot nothing is
 * remembered: for writes that are harmless when they are repeated.
 *
 * If another write is undecided in the slot, that one is settled first. With `isChoice`, its answer is then the answer of
 * this call, if it took effect: the visitor had chosen before. Answers have `wish`, the write that they are about.
 *
 * Throws the problem that refused the write, or the last one with `undecided` set if the outcome is not known.
 */
export function write(wish, send, onRetry = () => {}) {
  if (!wish.slot) return attempt({ key: randomKey(), wish }, send, onRetry);
  const name = nameOf(wish);
  return alone(name, async () => {
    let record = found(name);
    if (record && !isTooOld(record) && !isSame(record.wish, wish)) {
      const answer = await settled(name, record, send, { onRetry });
      if (answer && wish.isChoice) return answer;
      record = null;
    }
    if (!record || isTooOld(record)) record = { key: randomKey(), at: Date.now(), isUnknown: false, wish };
    return decide(name, { ...record, wish: { ...record.wish, token: wish.token } }, send, onRetry);
  });
}

/** The answer of an earlier write, sent again; null if it was refused. Throws if its outcome is still not known. */
async function settled(name, record, send, { onRetry = () => {}, isQuiet = false } = {}) {
  const tellOf = (problem) => isQuiet || dispatch("settled", { wish: record.wish, problem });
  try {
    const answer = await decide(name, record, send, onRetry);
    tellOf(null);
    return answer;
  } catch (problem) {
    if (problem.isPassing !== false || problem.undecided) throw problem;
    tellOf(problem);
    return null;
  }
}

/** Writes of a user, in slots that begin with `slots`, that have no answer yet: `{name, key, at, wish}`, oldest first. */
export function pending(user, slots = "") {
  const records = kept.names(`${PREFIX}${user}:${slots}`).map((name) => ({ name, ...kept.get(name) }));
  return records.filter(({ wish }) => wish).sort((one, other) => one.at - other.at);
}

/** Those for which no tab waits for an answer any more, each with `isTooOld`. */
export function undecided(user) {
  return pending(user)
    .filter(({ name, isUnknown, at }) => !underWay.has(name) && (isUnknown || Date.now() - at > GRACE))
    .map((record) => ({ ...record, isTooOld: isTooOld(record) }));
}

/**
 * Sends an undecided write again under its key. Returns `{outcome, answer}`: `outcome` is "done" (with the answer),
 * "refused", or "gone" if the write is no longer kept: dismissed, settled by another tab, or too old. An attempt of such a
 * write may still be under way. Throws if the write stays undecided. With `isQuiet` there is no event `settled`.
 */
export function settle({ name }, send, { isQuiet } = {}) {
  return alone(name, async () => {
    const record = found(name);
    if (record && isTooOld(record)) kept.set(name, null);
    if (!record || isTooOld(record)) return { outcome: "gone", answer: null };
    const answer = await settled(name, record, send, { isQuiet });
    return { outcome: answer ? "done" : "refused", answer };
  });
}

/** Forgets an undecided write: it is not sent again, and may have been done. */
export function forget({ name }) {
  remember(name, null);
}

async function decide(name, record, send, onRetry) {
  underWay.add(name);
  remember(name, record);
  try {
    const noted = (problem) => {
      if (problem.isOpen && !record.isUnknown) remember(name, Object.assign(record, { isUnknown: true }));
    };
    const answer = await attempt(record, send, onRetry, noted);
    kept.set(name, null);
    const { user, operation } = record.wish;
    dispatch("done", { user, operation });
    tell("done", { user, operation });
    return answer;
  } catch (problem) {
    // After an attempt that may have been done only a decision under its key shows its outcome.
    const isKnown = problem.isDecision || (!record.isUnknown && problem.isPassing !== undefined);
    if (isKnown) kept.set(name, null);
    else if (problem.isPassing !== undefined) problem.undecided = record.wish.what;
    throw problem;
  } finally {
    underWay.delete(name);
    changed();
  }
}

async function attempt(record, send, onRetry, noted = () => {}) {
  for (let count = 1; ; count++) {
    try {
      return { ...(await send(record.wish, record.key)), wish: record.wish, key: record.key };
    } catch (problem) {
      if (!problem.isPassing) throw problem;
      noted(problem);
      const seconds = problem.retryAfter ?? 1;
      if (count === ATTEMPTS || seconds > RETRY_AFTER_MAX) throw problem;
      onRetry(count, problem);
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    }
  }
}

kept.addEventListener("change", changed);
