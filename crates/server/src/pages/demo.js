// The demonstration: chooses the view, and shows the frame around it.

import { account, notice } from "./account.js";
import { Problem, calls, listConcerts } from "./api.js";
import { fill, h, whole } from "./dom.js";
import { accountView, homeView } from "./home.js";
import { journeyView } from "./journey.js";
import { at } from "./place.js";
import { failedWords } from "./sign-in.js";
import { undecidedBar } from "./undecided.js";

const view = document.getElementById("view");
const chip = document.getElementById("chip");
const last = document.getElementById("last");

view.before(undecidedBar());

/** Ends the listeners, timers and streams of the view that is shown. */
let current = new AbortController();
let isFirst = true;

async function route() {
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
    const again = h("button", { class: "primary", on: { click: route } }, "Try again");
    fill(view, h("section", { class: "card centre" }, h("h1", {}, "Not now"), h("p", {}, problem.words), again));
  }
  if (!isFirst) {
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
  const found = kind === "concerts" ? await concertOf(id, first) : null;
  if (kind === "concerts" && !found) notice("There is no such concert.", "bad");
  return found ? journeyView(found.concert, found.index, signal) : homeView(first, signal);
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
  chip.hidden = !account.user;
  fill(chip, h("strong", {}, account.user ?? ""), account.balance != null && h("span", {}, whole(account.balance), h("span", { class: "unit" }, " points")));
  // Another user has other places, holds and applications.
  if (user !== account.user) {
    user = account.user;
    route();
  }
});

calls.addEventListener("call", ({ detail: { operation, method, path, status, took } }) => {
  const link = h("a", { href: at(`/docs#${operation}`) }, `${method} ${path.split("?")[0]}`);
  fill(last, "Last call: ", link, ` answered ${status} in ${Math.max(1, Math.round(took))} ms`);
});

addEventListener("hashchange", () => {
  if (location.hash === "#view") return;
  route();
});
account.follow().then(() => {
  account.dispatchEvent(new Event("change"));
  account.refresh();
  route();
});
