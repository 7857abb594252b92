// A bar above every view while the outcome of a write is unknown: the write, and a button to retry it safely.

import { account, busily, notice } from "./account.js";
import * as api from "./api.js";
import { fill, h } from "./dom.js";
import { moment } from "./time.js";
import { forget, undecided, writes } from "./writes.js";

/** Milliseconds after which a write that was under way when the page was loaded again is known to have no answer. */
const LOOK_AGAIN = 2_500;

const named = ({ what, details }) => (details ? `${what} (${details})` : what);

/** An element that is hidden while every write of the visitor is decided. */
export function undecidedBar() {
  const bar = h("section", { class: "undecided", "aria-label": "Outcomes that are not known yet", hidden: true });
  const list = h("ul", { class: "plain", role: "status", "aria-live": "polite" });
  bar.append(list);
  let shown = "";
  const show = () => {
    const open = account.user ? undecided(account.user) : [];
    const text = JSON.stringify(open.map(({ key, isTooOld }) => [key, isTooOld]));
    if (text === shown) return;
    shown = text;
    bar.hidden = open.length === 0;
    fill(list, open.map(row));
  };
  writes.addEventListener("change", show);
  account.addEventListener("change", show);
  show();
  setTimeout(show, LOOK_AGAIN);
  return bar;
}

function row(record) {
  const { wish, at, isTooOld } = record;
  const again = (event) => busily(event.currentTarget, () => api.settle(record));
  const words = isTooOld
    ? `The outcome of your ${named(wish)} of ${moment(at)} was never known. Your account shows whether it was done.`
    : `The outcome of the last ${named(wish)} is not known yet; trying again is safe.`;
  return h("li", {},
    h("span", {}, words),
    h("span", { class: "row" },
      !isTooOld && h("button", { type: "button", class: "small", on: { click: again } }, "Try again"),
      h("button", { type: "button", class: "link", on: { click: () => forget(record) } }, "Dismiss")));
}

writes.addEventListener("settled", ({ detail: { wish, problem } }) => {
  const name = named(wish);
  if (problem) notice(`The last ${name} was not done. ${problem.words}`, "bad");
  else notice(`The last ${name} is done, and was done once.`);
});
