// What an administrator announces to all buyers of a concert: when the sale is open, and a notice in Korean or English.

import { fill, h } from "./dom.js";
import { clock } from "./session.js";
import { evening } from "./time.js";

const CLOSED = {
  ko: "지금은 판매가 닫혀 있습니다. 순서는 그대로 유지되고, 이미 잡은 좌석은 결제할 수 있습니다.",
  en: "The sale is closed for now. Your place is kept, and seats that you hold can be paid.",
};

/** The opening or the end of the sale, if it is still to come. */
function hours({ closed, opensAt, closesAt }) {
  const isToCome = (instant) => instant && clock.secondsUntil(instant) > 0;
  if (closed) return CLOSED;
  if (isToCome(opensAt)) {
    return {
      ko: `판매는 ${evening(opensAt)}에 시작합니다. 이미 받은 순서는 그대로 유지됩니다.`,
      en: `The sale opens on ${evening(opensAt)}. A place in line is kept until then.`,
    };
  }
  return isToCome(closesAt) && {
    ko: `판매는 ${evening(closesAt)}에 끝납니다.`,
    en: `The sale ends on ${evening(closesAt)}.`,
  };
}

/** The view of both: its element, and `show`, which takes a place or a concert. */
export function announcement() {
  const element = h("div", { class: "message announcement", role: "status", hidden: true });
  let shown = "";
  const show = (next) => {
    const texts = [hours(next), next.notice].filter(Boolean);
    const state = JSON.stringify(texts);
    // A screen reader reads what changes, so what stays is not written again.
    if (state === shown) return;
    shown = state;
    const lines = texts.flatMap((text) => ["ko", "en"].filter((lang) => text[lang]).map((lang) => h("p", { lang }, text[lang])));
    fill(element, lines);
    element.hidden = lines.length === 0;
  };
  return { element, show };
}
