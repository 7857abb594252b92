// A bar above every view while the outcome of a write is unknown: the write, and a button to retry it safely.

import { account, busily, notice } from "./account.js";
import * as api from "./api.js";
import { fill, h } from "./dom.js";
import { currentLanguage, t } from "./language.js";
import { moment } from "./time.js";
import { forget, undecided, writes } from "./writes.js";

/** Milliseconds after which a write that was under way when the page was loaded again is known to have no answer. */
const LOOK_AGAIN = 2_500;

const named = ({ what, details }) => (details ? `${api.whatOf(what)} (${details})` : api.whatOf(what));

/** `element` is hidden while every write of the visitor is decided; `show` writes it in another language. */
export function undecidedBar() {
  const bar = h("section", { class: "undecided", "aria-label": t("undecided"), hidden: true });
  const list = h("ul", { class: "plain", role: "status", "aria-live": "polite" });
  bar.append(list);
  let shown = "";
  const show = () => {
    const open = account.user ? undecided(account.user) : [];
    const text = JSON.stringify([currentLanguage(), open.map(({ key, isTooOld }) => [key, isTooOld])]);
    if (text === shown) return;
    shown = text;
    bar.setAttribute("aria-label", t("undecided"));
    bar.hidden = open.length === 0;
    fill(list, open.map(row));
  };
  writes.addEventListener("change", show);
  account.addEventListener("change", show);
  show();
  setTimeout(show, LOOK_AGAIN);
  return { element: bar, show };
}

function row(record) {
  const { wish, at, isTooOld } = record;
  const again = (event) => busily(event.currentTarget, () => api.settle(record));
  const words = isTooOld
    ? t("undecidedOld", { what: named(wish), at: moment(at) })
    : t("undecidedText", { what: named(wish) });
  return h("li", {},
    h("span", {}, words),
    h("span", { class: "row" },
      !isTooOld && h("button", { type: "button", class: "small", on: { click: again } }, t("again")),
      h("button", { type: "button", class: "link", on: { click: () => forget(record) } }, t("dismiss"))));
}

writes.addEventListener("settled", ({ detail: { wish, problem } }) => {
  const name = named(wish);
  if (problem) notice(t("settledNot", { what: name, words: problem.words }), "bad");
  else notice(t("settledDone", { what: name }));
});
