// The shop: chooses the view that an address names.

import { account, notice } from "./account.js";
import { Problem, calls, listConcerts } from "./api.js";
import { fill, h } from "./dom.js";
import { drawView } from "./draw.js";
import { showFrame } from "./frame.js";
import { homeView } from "./home.js";
import { journeyView } from "./journey.js";
import { addWords, t } from "./language.js";
import { accountView } from "./mine.js";
import { at } from "./place.js";
import { failedWords } from "./sign-in.js";
import { undecidedBar } from "./undecided.js";
import { WORDS } from "./words.js";

addWords(WORDS);

const view = document.getElementById("view");
const last = document.getElementById("last");
const undecided = undecidedBar();

view.before(undecided.element);

/** Ends the listeners, timers and streams of the view that is shown. */
let current = new AbortController();
let isFirst = true;

/** `keepsFocus`: the view is the same in another language. */
async function route({ keepsFocus = false } = {}) {
  current.abort();
  current = new AbortController();
  const { signal } = current;
  const [, kind, id] = location.hash.split("/");
  document.title = "onsale";
  try {
    const shown = await viewOf(kind, id, signal);
    if (signal.aborted) return;
    fill(view, shown);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (signal.aborted) return;
    const again = h("button", { class: "primary", on: { click: () => route() } }, t("again"));
    fill(view, h("section", { class: "card centre" }, h("h1", {}, t("notNow")), h("p", {}, problem.words), again));
  }
  if (!isFirst && !keepsFocus) {
    view.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  isFirst = false;
}

async function viewOf(kind, id, signal) {
  if (kind === "sign-in") {
    // The server sends a browser to this address if its sign-in failed.
    history.replaceState(null, "", "#/");
    notice(failedWords(id), "bad");
  }
  if (kind === "account" && account.user) return accountView(signal);
  const first = await listConcerts();
  const found = kind === "concerts" || kind === "draw" ? await concertOf(id, first) : null;
  if (!found) {
    if (kind === "concerts" || kind === "draw") notice(t("noConcert"), "bad");
    return homeView(first, signal);
  }
  return kind === "draw" ? drawView(found.concert, signal) : journeyView(found.concert, found.index, signal);
}

/** A concert and its index in the whole list; null if the server has no such concert. */
async function concertOf(id, first) {
  let before = 0;
  for (let page = first; page; page = page.more && (await page.more())) {
    const index = page.body.findIndex(({ concertId }) => concertId === id);
    if (index >= 0) return { concert: page.body[index], index: before + index };
    before += page.body.length;
  }
  return null;
}

let user = account.user;
account.addEventListener("change", () => {
  // Another user has other places, holds and applications.
  if (user !== account.user) {
    user = account.user;
    route();
  }
});

calls.addEventListener("call", ({ detail: { operation, method, path, status, took } }) => {
  const link = h("a", { href: at(`/docs#${operation}`) }, `${method} ${path.split("?")[0]}`);
  fill(last, t("lastCall"), link, t("lastAnswer", { status: String(status), n: Math.max(1, Math.round(took)) }));
});

addEventListener("hashchange", () => {
  if (location.hash === "#view") return;
  route();
});
showFrame(() => {
  undecided.show();
  return route({ keepsFocus: true });
});
account.follow().then(() => {
  account.refresh();
  route();
});
