// In line before the sale opens: when it opens, when the order is drawn, and the place once it is known.

import { announcement } from "./announcement.js";
import { fill, h, repeat } from "./dom.js";
import { t } from "./language.js";
import { leaveButton } from "./line.js";
import { clock } from "./session.js";
import { both, minutes } from "./time.js";

/** Seconds before the opening or the draw at which the countdown is read aloud. */
const SPOKEN_AT = [3_600, 600, 60, 10];

/** The view of an early place: its element, and `show`, which shows the next state. Instants are those of the server's clock. */
export function earlyView(concert, place, signal, { onLeave }) {
  const left = h("p", { class: "position countdown", role: "timer" });
  const until = h("p", { class: "lead" });
  const opening = h("p", { class: "hint" });
  const order = h("p", { class: "message", role: "status" });
  const spoken = h("p", { class: "hidden", role: "status", "aria-live": "polite" });
  const paused = h("p", { class: "message", hidden: true }, t("pausedText"));
  const announced = announcement();
  let now = place;
  let lastSpoken = Infinity;

  /** What is known of the order. */
  const orderWords = () => {
    const { position, drawAt } = now;
    if (position != null) return t(drawAt ? "drawnPlace" : "earlyPlace", { n: position });
    const seconds = drawAt ? clock.secondsUntil(drawAt) : 0;
    return seconds > 0 ? t("drawIn", { left: minutes(seconds), at: both(drawAt) }) : t("drawNow");
  };

  const tick = () => {
    const seconds = now.opensAt ? clock.secondsUntil(now.opensAt) : 0;
    fill(left, seconds > 0 ? minutes(seconds) : "…");
    fill(until, seconds > 0 ? t("opensIn") : t("opensSoon"));
    const words = orderWords();
    // Only what changes is read aloud: not the countdown each second.
    if (now.position == null && now.drawAt) order.setAttribute("aria-live", "off");
    else order.removeAttribute("aria-live");
    if (order.textContent !== words) fill(order, words);
    const due = SPOKEN_AT.find((limit) => seconds <= limit && lastSpoken > limit);
    if (due === undefined && lastSpoken !== Infinity) return;
    lastSpoken = seconds;
    fill(spoken, `${minutes(seconds)} ${t("opensIn")}. ${words}`);
  };

  const show = (next) => {
    now = next;
    fill(opening, now.opensAt ? t("opensOn", { at: both(now.opensAt) }) : "");
    paused.hidden = !next.paused;
    announced.show(next);
    document.title = `${next.position == null ? t("yourEarlyPlace") : t("inLineTitle", { n: next.position })} · onsale`;
    tick();
  };
  show(place);
  const stop = repeat(500, tick);
  signal.addEventListener("abort", stop);
  if (signal.aborted) stop();

  const element = h("section", { class: "card line early", "aria-label": t("waitingRoom") },
    h("h2", { tabindex: "-1" }, t("yourEarlyPlace")), announced.element, left, until, opening, order, paused, spoken,
    h("p", { class: "hint" }, t("keepOpen")),
    h("div", { class: "spread" },
      place.drawAt ? h("a", { href: `#/draw/${concert.concertId}`, class: "hint" }, t("aboutDraw")) : h("span"),
      leaveButton(place, onLeave)));
  return { element, show };
}
