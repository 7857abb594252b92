// The back office: the frame of every view, and which view an address names.

import { Problem } from "./api.js";
import { fill, h, repeat } from "./dom.js";
import { health } from "./office-health.js";
import { LANGUAGES, currentLanguage, setLanguage, t } from "./office-language.js";
import { announce } from "./office-parts.js";
import { session, signInForm, wordsOf } from "./office-session.js";

/** Addresses: a pattern, the right that it needs, the module, and the entry of the menu to which it belongs. */
const ID = "([A-Za-z0-9_-]+)";
const VIEWS = [
  ["", "read", () => import("./office-overview.js"), ""],
  ["concerts", "read", () => import("./office-concerts.js"), "concerts"],
  [`concerts/${ID}`, "read", () => import("./office-concert.js"), "concerts"],
  [`performances/${ID}`, "read", () => import("./office-performance.js"), "concerts"],
  [`performances/${ID}/seats`, "read", () => import("./office-seats.js"), "concerts"],
  [`performances/${ID}/attendees`, "attend", () => import("./office-attendees.js"), "attendees"],
  ["attendees", "attend", () => import("./office-attendees.js"), "attendees"],
  ["lectures", "read", () => import("./office-lectures.js"), "lectures"],
  [`lectures/${ID}`, "read", () => import("./office-lecture.js"), "lectures"],
  ["users", "read", () => import("./office-users.js"), "users"],
  [`users/${ID}`, "read", () => import("./office-user.js"), "users"],
  ["charge", "charge", () => import("./office-charge.js"), "charge"],
  ["log", "read", () => import("./office-log.js"), "log"],
  ["keys", "keys", () => import("./office-keys.js"), "keys"],
].map(([pattern, right, load, menu]) => ({ pattern: new RegExp(`^${pattern}$`), right, load, menu }));

/** Whether only staff charge wallets (`ONSALE_CHARGE=staff`). */
const CHARGES = document.querySelector('meta[name="onsale-charge"]')?.content === "staff";

/** The menu: address, text, and whether the role sees it. Other roles find a list of attendees from its performance. */
const may = (right) => () => session.may(right);
const MENU = [
  ["", "menu.overview", may("read")], ["concerts", "menu.concerts", may("read")],
  ["attendees", "menu.attendees", () => session.may("attend") && !session.may("read")], ["lectures", "menu.lectures", may("read")],
  ["users", "menu.users", may("read")], ["charge", "menu.charge", () => session.may("charge") && (CHARGES || !session.may("read"))],
  ["log", "menu.log", may("read")], ["keys", "menu.keys", may("keys")],
];

const view = document.getElementById("view");
const top = document.getElementById("top");

/** Ends what the shown view does in the background. */
let shown = new AbortController();
let page = null;

/** What a view gets: where it shows itself, and what it may use. */
class Page {
  element = h("div", { class: "page" });
  #refresh = null;

  constructor(signal) {
    this.signal = signal;
  }

  /** The heading of the view, which gets the focus, with a way back and buttons. */
  head(title, { back, side } = {}) {
    document.title = `${title} · ${t("product")}`;
    const heading = h("h1", { tabindex: "-1", "data-key": "title" }, title);
    return h("div", { class: "head" }, back && h("a", { class: "back", href: back[0] }, `← ${back[1]}`), h("div", { class: "spread" }, heading, side));
  }

  /** Shows the view from now on, and repeats `refresh` every `milliseconds` (0: only after an outage). */
  show(children, refresh = null, milliseconds = 0) {
    fill(this.element, children);
    this.#refresh = refresh;
    if (!milliseconds) return;
    const stop = repeat(milliseconds, () => this.refresh());
    this.signal.addEventListener("abort", stop);
    if (this.signal.aborted) stop();
  }

  /** Reads again what changes by itself. What is being typed stays. A failed read is made again later. */
  async refresh() {
    try {
      if (!this.signal.aborted) await this.#refresh?.(this);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
    }
  }
}

const address = () => location.hash.replace(/^#\/?/, "").split("?")[0].replace(/\/$/, "");

const isListed = ([, , isShown]) => isShown();

/** The first view that the role may see. */
const home = () => MENU.find(isListed)?.[0] ?? "";

async function route({ values = null } = {}) {
  shown.abort();
  shown = new AbortController();
  for (const dialog of document.querySelectorAll("dialog[open]:not(.renew)")) dialog.close();
  const { signal } = shown;
  if (!session.who) return showSignIn();
  const place = address();
  const found = VIEWS.find(({ pattern }) => pattern.test(place));
  if (place === "" && home() !== "") return location.replace(`#/${home()}`);
  frame(found?.menu);
  const own = new Page(signal);
  page = own;
  const loading = h("p", { class: "hint", role: "status" }, t("loading"));
  fill(view, loading);
  try {
    if (!found || !session.may(found.right)) return nothingHere(found);
    const { show } = await found.load();
    await show(own, ...found.pattern.exec(place).slice(1).map(decodeURIComponent));
  } catch (problem) {
    if (signal.aborted) return null;
    failed(problem);
    if (!(problem instanceof Problem) && !/import|module/i.test(String(problem))) throw problem;
  }
  if (signal.aborted) return null;
  fill(view, own.element);
  if (values) restore(values);
  else focusHeading();
  return null;
}

function focusHeading() {
  const heading = view.querySelector("h1");
  if (document.querySelector("dialog[open]")) return;
  (heading ?? view).focus({ preventScroll: true });
  scrollTo(0, 0);
}

function nothingHere(found) {
  page.show([page.head(t(found ? "notAllowed" : "notFound")), h("p", {}, t(found ? "notAllowedText" : "notFoundText"))]);
  fill(view, page.element);
  focusHeading();
}

/** A view that could not be read. It is tried again by a button, and by itself after an outage. */
function failed(problem) {
  const words = problem instanceof Problem ? wordsOf(problem) : t("failedText");
  page.show([page.head(t("failed")), h("p", { class: "message bad", role: "alert" }, words),
    h("p", {}, h("button", { type: "button", on: { click: () => route() } }, t("again")))], () => route());
}

function showSignIn() {
  document.title = `${t("signIn")} · ${t("product")}`;
  frame();
  const panel = h("div", { class: "card door" }, h("h1", { tabindex: "-1" }, t("product")), h("p", { class: "hint" }, t("signInText")), signInForm(() => {}));
  fill(view, panel);
  panel.querySelector("input").focus();
}

/** The bar at the top: menu, language, who works here. */
function frame(current) {
  const link = ([path, words]) => h("li", {}, h("a", { href: `#/${path}`, "aria-current": path === current ? "page" : false, "data-key": path }, t(words)));
  const language = ([tag, name]) => h("button", {
    type: "button", class: "link", lang: tag, "aria-pressed": String(tag === currentLanguage()), "data-key": `language-${tag}`, on: { click: () => speak(tag) },
  }, name);
  const out = async () => {
    await session.signOut().catch((problem) => {
      if (!(problem instanceof Problem)) throw problem;
    });
  };
  const who = session.who && h("span", { class: "who-here" }, h("strong", {}, session.who.name), " ", h("span", { class: "hint" }, t(`role.${session.who.role}`)));
  fill(top,
    h("a", { class: "skip", href: "#view", on: { click: skip } }, t("skip")),
    h("div", { class: "line" },
      h("a", { class: "mark", href: "#/" }, "onsale"), h("span", { class: "hint name" }, t("backOffice")),
      h("div", { class: "languages", role: "group", "aria-label": t("language") }, LANGUAGES.map(language)),
      who, who && h("button", { type: "button", class: "small", "data-key": "out", on: { click: out } }, t("signOut"))),
    session.who && h("nav", { "aria-label": t("menu") }, h("ul", {}, MENU.filter(isListed).map(link))));
  // On a phone the menu is wider than the screen.
  const shownEntry = top.querySelector('[aria-current="page"]');
  if (shownEntry) shownEntry.closest("ul").scrollLeft = shownEntry.offsetLeft - 60;
}

function skip(event) {
  event.preventDefault();
  view.focus();
}

/** Shows everything in another language. What was typed stays. */
async function speak(tag) {
  const values = session.who ? typedValues() : null;
  setLanguage(tag);
  health.show();
  await route({ values });
  top.querySelector(`[data-key="language-${tag}"]`)?.focus();
  announce(t("languageChanged"));
}

const inputs = () => [...view.querySelectorAll("input[data-key], textarea[data-key], select[data-key]")];

const typedValues = () => inputs().map((input) => [input.dataset.key, input.type === "checkbox" ? input.checked : input.value]);

function restore(values) {
  const now = inputs();
  values.forEach(([key, value], index) => {
    const input = now[index]?.dataset.key === key ? now[index] : now.find(({ dataset }) => dataset.key === key);
    if (!input || (input.type === "checkbox" ? input.checked : input.value) === value) return;
    if (input.type === "checkbox") input.checked = value;
    else input.value = value;
    input.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

session.addEventListener("change", () => {
  // A sign-in above a view keeps the view: only what the new role includes changes around it.
  if (session.who && view.contains(page?.element) && document.querySelector("dialog[open]")) return frame(VIEWS.find(({ pattern }) => pattern.test(address()))?.menu);
  return route();
});
health.addEventListener("back", () => {
  announce(t("health.back"));
  page?.refresh();
});
addEventListener("hashchange", () => location.hash !== "#view" && route());

async function start() {
  health.start();
  session.watch();
  for (;;) {
    try {
      if (!(await session.load())) await route();
      return;
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      fill(view, h("p", { class: "hint", role: "status" }, t("connecting")));
      await new Promise((resolve) => setTimeout(resolve, 1_500));
    }
  }
}
start();
