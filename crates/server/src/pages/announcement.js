// What an administrator announces to all buyers of a concert: when the sale is open, and a notice in the language of the page if there is one.

import { fill, h } from "./dom.js";
import { currentLanguage, t } from "./language.js";
import { clock } from "./session.js";
import { both } from "./time.js";

/** The opening or the end of the sale, if it is still to come. */
function hours({ status, closed, opensAt, closesAt }) {
  const isToCome = (instant) => instant && clock.secondsUntil(instant) > 0;
  if (closed) return t("saleClosed");
  // An early place has its own countdown to the opening.
  if (isToCome(opensAt)) return status === "EARLY" ? null : t("saleOpens", { at: both(opensAt) });
  return isToCome(closesAt) ? t("saleEnds", { at: both(closesAt) }) : null;
}

/** The view of both: its element, and `show`, which takes a place or a concert. */
export function announcement() {
  const element = h("div", { class: "message announcement", role: "status", hidden: true });
  let shown = "";
  const show = (next) => {
    const words = hours(next);
    const notice = next.notice ?? {};
    const state = JSON.stringify([words, notice]);
    // A screen reader reads what changes, so what stays is not written again.
    if (state === shown) return;
    shown = state;
    // An organiser may have written it in one language only.
    const lang = [currentLanguage(), "ko", "en"].find((known) => notice[known]);
    const lines = [words && h("p", {}, words), lang && h("p", { lang }, notice[lang])].filter(Boolean);
    fill(element, lines);
    element.hidden = lines.length === 0;
  };
  return { element, show };
}
