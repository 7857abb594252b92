// Gives up a turn after a confirmation.

import { busily } from "./account.js";
import * as api from "./api.js";
import { fill, h } from "./dom.js";
import { t } from "./language.js";

/** A button that gives up the turn of `place` after a confirmation. */
export function givingUp(place, { onLeft }) {
  const area = h("div", { class: "giving-up" });
  const leave = (event) => busily(event.currentTarget, async () => {
    await api.leaveQueue(place.token, { user: place.userId, tokenId: place.tokenId });
    onLeft();
  });
  const ask = () => {
    fill(area, h("div", { role: "group", "aria-label": t("giveUp"), class: "card", on: { keydown: (event) => event.key === "Escape" && offer(true) } },
      h("p", {}, h("strong", {}, t("giveUpAsk")), t("giveUpText")),
      h("div", { class: "row" },
        h("button", { type: "button", class: "danger", on: { click: leave } }, t("giveItUp")),
        h("button", { type: "button", on: { click: () => offer(true) } }, t("keepIt")))));
    area.querySelector("button:last-child").focus();
  };
  const offer = (isBack) => {
    fill(area, h("button", { type: "button", class: "link", on: { click: ask } }, t("giveUp")));
    if (isBack) area.querySelector("button").focus();
  };
  offer(false);
  return area;
}
