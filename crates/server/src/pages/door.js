// The page of the door: sign-in, the performance, scans, and what they meant. It works without a network once it was opened with one.

import { Problem, send } from "./api.js";
import { fill, h, repeat } from "./dom.js";
import { shown } from "./door-code.js";
import { Lists } from "./door-lists.js";
import { Queue, SEND_EVERY } from "./door-queue.js";
import { forget, getValue, putScans, scansOf, setValue } from "./door-store.js";
import { View, insecure } from "./door-view.js";
import { LANGUAGES, currentLanguage, setLanguage, t } from "./office-language.js";
import { session, signInForm, wordsOf } from "./office-session.js";
import { at } from "./place.js";
import { kept, randomKey } from "./session.js";

/** Milliseconds between reads of the lists. */
const LISTS_EVERY = 5_000;

const frame = document.getElementById("top");
const area = document.getElementById("view");

/** The performance in the address: `#/<id>`. */
const address = () => /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/i.exec(location.hash)?.[0].toLowerCase() ?? null;

/** One performance at this door. */
class Door {
  #queue;
  #reading = null;
  #ended = new AbortController();

  constructor(performanceId, queue) {
    this.performanceId = performanceId;
    this.#queue = queue;
  }

  /** Opens the door with what this browser has kept. */
  async open() {
    const [info, tickets] = await Promise.all(["info", "tickets"].map((name) => getValue(`${name}:${this.performanceId}`)));
    const lists = new Lists(this.performanceId, info, tickets);
    const scans = await scansOf(this.performanceId);
    if (this.#ended.signal.aborted) return null;
    Object.assign(this, { lists, scans });
    for (const { verdict, ticketId, scannedAt, undone } of scans) {
      if (verdict === "ok" && ticketId && !undone) lists.admit(ticketId, scannedAt);
    }
    this.view = new View(this);
    const signal = { signal: this.#ended.signal };
    this.#queue.addEventListener("answered", ({ detail }) => this.#answered(detail), signal);
    this.#queue.addEventListener("change", () => this.view.show(), signal);
    const stop = repeat(LISTS_EVERY, () => this.readLists());
    this.#ended.signal.addEventListener("abort", stop);
    return this.view;
  }

  close() {
    this.#ended.abort();
    this.view?.close();
  }

  /** Asks for another performance. */
  async leave() {
    await setValue("performance", null);
    if (address()) location.hash = "#/";
    else await route();
  }

  get waiting() {
    return this.#queue.waiting;
  }

  get isOnline() {
    return this.#queue.isOnline;
  }

  get device() {
    return kept.get("device");
  }

  rename(name) {
    kept.set("device", name);
  }

  /** Reads what changed since the lists of this browser. */
  readLists() {
    this.#reading ??= this.#read().finally(() => (this.#reading = null));
    return this.#reading;
  }

  async #read() {
    const { version } = this.lists;
    const path = `/check-ins/manifest?performanceId=${this.performanceId}${version === null ? "" : `&after=${version}`}`;
    try {
      const { body } = await send("getManifest", "GET", path, { quiet: true });
      const isChanged = this.lists.take(body) || version === null;
      if (isChanged) await setValue(`tickets:${this.performanceId}`, this.lists.kept());
      await setValue(`info:${this.performanceId}`, this.lists.info);
      this.#queue.note(true);
      this.view.problem = null;
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (problem.isPassing) this.#queue.note(false);
      else if (problem.status === 401) askAgain();
      else this.view.problem = wordsOf(problem);
    }
    this.view.show();
  }

  /** Judges what a camera read or staff typed, keeps the scan, and shows what it means. */
  async scan(text) {
    const what = shown(text);
    if (!what) return this.view.verdict({ verdict: "invalid" });
    this.view.checking();
    const judged = await this.lists.judge(what);
    const isFollowed = judged.ticketId && this.lists.otherOfSeat(judged.ticketId) !== null;
    const wasAdmitted = judged.verdict === "ok";
    const scan = {
      ...what, ...judged, isTyped: !what.code, performanceId: this.performanceId, device: this.device, scanId: randomKey(),
      scannedAt: new Date().toISOString(), wasAdmitted: wasAdmitted && !this.#queue.isOnline,
    };
    if (wasAdmitted) this.lists.admit(judged.ticketId, scan.scannedAt);
    this.scans.push(scan);
    const answered = await this.#queue.add(scan);
    if (!answered.status && wasAdmitted && !scan.wasAdmitted) {
      // The server is late: the visitor is admitted by the lists now.
      scan.wasAdmitted = true;
      await putScans([{ ...scan, waiting: 1 }]);
    }
    const isSecond = answered.verdict === "ok" && isFollowed;
    return this.view.verdict({ ...answered, verdict: isSecond ? "same-seat" : answered.verdict, isLocal: !answered.status });
  }

  /** Takes the answer of the server to a scan of this door. */
  #answered(scan) {
    if (scan.performanceId !== this.performanceId) return;
    const index = this.scans.findIndex(({ scanId }) => scanId === scan.scanId);
    if (index >= 0) this.scans[index] = scan;
    if (scan.ticketId && scan.verdict === "ok") this.lists.admit(scan.ticketId, scan.scannedAt);
    else if (scan.ticketId && !this.lists.checkedIn.has(scan.ticketId)) this.#forgetRefused(scan);
    this.view.show();
  }

  /** A refused scan does not count as an admission, unless another scan of the same ticket here was admitted. */
  #forgetRefused({ ticketId, scanId }) {
    const counts = this.scans.some((other) => other.ticketId === ticketId && other.scanId !== scanId && other.verdict === "ok" && !other.undone);
    if (!counts) this.lists.undo(ticketId);
  }

  /** Undoes a check-in at the server. */
  async undo(scan) {
    await send("undoCheckIn", "DELETE", `/check-ins/${scan.checkInId}`, { key: randomKey(), quiet: true });
    scan.undone = true;
    this.lists.undo(scan.ticketId);
    await putScans([scan]);
    this.view.show();
  }
}

const queue = new Queue();
let door = null;
let isAsking = false;

/** Asks for a sign-in above the door, which goes on meanwhile. */
function askAgain() {
  if (isAsking) return;
  isAsking = true;
  const form = signInForm(async () => {
    isAsking = false;
    fill(document.getElementById("banner"));
    await setValue("who", session.who);
    await queue.flush();
    door?.view.show();
  });
  fill(document.getElementById("banner"), h("div", { class: "banner warm" }, h("strong", {}, t("sessionEnded")), " ", t("doorSignInAgain"), form));
}

function bar() {
  const language = ([tag, name]) => h("button", {
    type: "button", class: "link", lang: tag, "aria-pressed": String(tag === currentLanguage()), "data-key": `language-${tag}`, on: { click: () => speak(tag) },
  }, name);
  const who = session.who && h("span", { class: "who-here" }, h("strong", {}, session.who.name));
  fill(frame, h("div", { class: "line" }, h("a", { class: "mark", href: "#/" }, "onsale"), h("span", { class: "hint name" }, t("door")),
    h("div", { class: "languages", role: "group", "aria-label": t("language") }, LANGUAGES.map(language)),
    who, who && h("button", { type: "button", class: "small", "data-key": "out", on: { click: signOut } }, t("signOut"))));
}

async function speak(tag) {
  setLanguage(tag);
  await route();
  frame.querySelector(`[data-key="language-${tag}"]`)?.focus();
}

async function signOut() {
  try {
    await session.signOut();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
  }
}

function showSignIn() {
  fill(area, h("div", { class: "card door" }, h("h1", { tabindex: "-1" }, t("doorProduct")), h("p", { class: "hint" }, t("doorSignIn")), insecure(), signInForm(() => {})));
  area.querySelector("input").focus();
}

function showChoice() {
  const input = h("input", { id: "which", name: "which", autocomplete: "off", spellcheck: "false", maxlength: 400, required: true, "aria-describedby": "which-hint" });
  const submit = (event) => {
    event.preventDefault();
    const id = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/i.exec(input.value)?.[0];
    if (id) location.hash = `#/${id.toLowerCase()}`;
    else input.focus();
  };
  fill(area, h("div", { class: "card door" }, h("h1", { tabindex: "-1" }, t("doorChoose")),
    h("form", { class: "sign-in", on: { submit } }, h("label", { for: "which" }, t("performanceId")), input,
      h("p", { class: "hint", id: "which-hint" }, t("doorChoose.hint")), h("button", { class: "primary wide" }, t("doorOpen")))));
  input.focus();
}

async function route() {
  document.title = t("doorProduct");
  door?.close();
  door = null;
  bar();
  if (!session.who) return showSignIn();
  if (!session.may("admit")) return fill(area, h("div", { class: "card door" }, h("h1", {}, t("notAllowed")), h("p", {}, t("doorRole"))));
  const performanceId = address() ?? (await getValue("performance"));
  if (!performanceId) return showChoice();
  await setValue("performance", performanceId);
  const own = new Door(performanceId, queue);
  door = own;
  const view = await own.open();
  // The address may have changed meanwhile.
  if (!view || door !== own) return null;
  fill(area, view.element);
  view.show();
  await forget(performanceId);
  return view;
}

/** Reads the session. Without a network the last one counts until it ends; the server checks it with each scan that it gets. */
async function signedIn() {
  try {
    await session.load();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    const last = await getValue("who");
    if (last && Date.parse(last.expiresAt) > Date.now()) session.who = last;
    queue.note(false);
  }
}

async function start() {
  if (!kept.get("device")) kept.set("device", `gate-${randomKey().slice(0, 4)}`);
  if (globalThis.isSecureContext) navigator.serviceWorker?.register(at(`/check-in-worker.js`), { scope: at("/check-in") });
  navigator.storage?.persist?.();
  await signedIn();
  await queue.start();
  await setValue("who", session.who);
  session.addEventListener("change", async () => {
    await setValue("who", session.who);
    if (!isAsking) await route();
  });
  queue.addEventListener("refused", ({ detail }) => {
    if (detail.status === 401) askAgain();
    else if (door) door.view.problem = wordsOf(detail);
  });
  addEventListener("hashchange", route);
  addEventListener("online", () => queue.flush());
  await route();
  repeat(SEND_EVERY, () => (session.who ? queue.flush() : null));
}

start();
