// The waiting room: a position that moves.

import { busily } from "./account.js";
import { whole } from "./amounts.js";
import { announcement } from "./announcement.js";
import * as api from "./api.js";
import { fill, h } from "./dom.js";
import { t } from "./language.js";
import { between, roughly } from "./time.js";

/** Dots that stand for the people in line, at most. */
const DOTS_MAX = 120;

/** Milliseconds between two announcements of the position to screen readers, at least. */
const SPOKEN_EVERY = 5_000;

/** The view of a place in line: its element, and `show`, which shows the next state. */
export function lineView(place, signal, { onLeave }) {
  const number = h("p", { class: "position", "aria-hidden": "true" });
  const wait = h("p", { class: "lead", "aria-hidden": "true" });
  const spoken = h("p", { class: "hidden", role: "status", "aria-live": "polite" });
  const soldOut = h("p", { class: "message bad", hidden: true }, t("soldOutText"));
  const paused = h("p", { class: "message", hidden: true }, t("pausedText"));
  const announced = announcement();
  const scale = h("p", { class: "hint" });
  const roll = counter(number, signal);
  const total = Math.max(place.position, 1);
  const each = Math.ceil(total / DOTS_MAX);
  const dots = Array.from({ length: Math.ceil(total / each) }, () => h("i"));
  fill(scale, each === 1 ? t("dotEach") : t("dotMany", { n: each }));
  let spokenAt = 0;
  let spokenState = "";

  const show = (next) => {
    const { position, soldOut: isSoldOut, paused: isPaused } = next;
    roll(position);
    const ahead = position === 1 ? t("youAreNext") : t("ahead", { n: position - 1 });
    fill(wait, [ahead, turnWords(next)].filter(Boolean).join(" "));
    const left = Math.ceil(position / each);
    dots.forEach((dot, index) => (dot.className = index === left - 1 ? "you" : index < left ? "ahead" : "gone"));
    soldOut.hidden = !isSoldOut;
    paused.hidden = !isPaused;
    announced.show(next);
    document.title = `${t("inLineTitle", { n: position })} · onsale`;
    const state = `${isSoldOut} ${isPaused}`;
    if (state === spokenState && Date.now() - spokenAt < SPOKEN_EVERY) return;
    [spokenState, spokenAt] = [state, Date.now()];
    const words = [t("position", { n: position }), turnWords(next), isPaused && paused.textContent, isSoldOut && soldOut.textContent];
    fill(spoken, words.filter(Boolean).join(" "));
  };
  show(place);

  const element = h("section", { class: "card line", "aria-label": t("waitingRoom") },
    h("h2", { tabindex: "-1" }, t("yourPlace")), announced.element, number, wait, spoken, paused, soldOut,
    h("div", { class: "dots", "aria-hidden": "true" }, dots),
    place.drawAt && h("p", {}, h("a", { href: `#/draw/${place.concertId}`, class: "hint" }, t("aboutDraw"))),
    h("div", { class: "spread" }, scale, leaveButton(place, onLeave)));
  return { element, show };
}

/** A button that gives up a place in line. */
export function leaveButton(place, onLeave) {
  const leave = (event) => busily(event.currentTarget, async () => {
    await api.leaveQueue(place.token, { user: place.userId, tokenId: place.tokenId });
    onLeave();
  });
  return h("button", { type: "button", class: "link", "data-key": "leave", on: { click: leave } }, t("leaveLine"));
}

/** When the turn comes. Nothing while that is not known: the room is paused or closed, or there is nothing to come for. */
function turnWords({ position, estimatedWaitSeconds: seconds, estimatedWait: wait, paused, closed, soldOut }) {
  if (paused || closed || soldOut || seconds == null || position === 1) return "";
  if (seconds <= 1 || !wait) return t(seconds <= 1 ? "turnSoon" : "turnIn", { wait: roughly(seconds) });
  return t("turnInMost", { wait: roughly(seconds), range: between(wait) });
}

/** Counts from the number shown to the next within a second, unless the visitor asked for less motion. */
function counter(element, signal) {
  const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
  let shown = null;
  let frame = 0;
  signal.addEventListener("abort", () => cancelAnimationFrame(frame));
  return (target) => {
    cancelAnimationFrame(frame);
    const [from, began] = [shown ?? target, performance.now()];
    const step = (now) => {
      const part = isStill ? 1 : Math.min(1, Math.max(0, (now - began) / 800));
      shown = Math.round(from + (target - from) * part);
      fill(element, whole(shown));
      if (part < 1) frame = requestAnimationFrame(step);
    };
    step(began);
  };
}
