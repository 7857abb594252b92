// What an administrator announces to all buyers of a concert: that the sale is closed, and a notice in Korean or English.

import { fill, h } from "./dom.js";

const CLOSED = {
  ko: "지금은 판매가 닫혀 있습니다. 순서는 그대로 유지되고, 이미 잡은 좌석은 결제할 수 있습니다.",
  en: "The sale is closed for now. Your place is kept, and seats that you hold can be paid.",
};

/** The view of both: its element, and `show`, which takes a place or a concert. */
export function announcement() {
  const element = h("div", { class: "message announcement", role: "status", hidden: true });
  let shown = "";
  const show = ({ closed, notice }) => {
    const texts = [closed && CLOSED, notice].filter(Boolean);
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
