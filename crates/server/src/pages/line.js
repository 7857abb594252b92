// The waiting room: a position that moves.

import { busily } from "./account.js";
import { announcement } from "./announcement.js";
import * as api from "./api.js";
import { fill, h, plural, whole } from "./dom.js";
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
  const soldOut = h("p", { class: "message bad", hidden: true }, "Sold out. Nothing is left in this concert, and no hold can come back.");
  const paused = h("p", { class: "message", hidden: true }, "The room is paused. Your place is kept, and the line moves on when the pause ends.");
  const announced = announcement();
  const scale = h("p", { class: "hint" });
  const roll = counter(number, signal);
  const total = Math.max(place.position, 1);
  const each = Math.ceil(total / DOTS_MAX);
  const dots = Array.from({ length: Math.ceil(total / each) }, () => h("i"));
  fill(scale, each === 1 ? "Each dot is a person; the last one is you." : `Each dot is ${each} people; you are in the last one.`);
  let spokenAt = 0;
  let spokenState = "";

  const show = (next) => {
    const { position, soldOut: isSoldOut, paused: isPaused } = next;
    roll(position);
    const ahead = position === 1 ? "You are next." : `${plural(position - 1, "person is", "people are")} ahead of you.`;
    fill(wait, [ahead, turnWords(next)].filter(Boolean).join(" "));
    const left = Math.ceil(position / each);
    dots.forEach((dot, index) => (dot.className = index === left - 1 ? "you" : index < left ? "ahead" : "gone"));
    soldOut.hidden = !isSoldOut;
    paused.hidden = !isPaused;
    announced.show(next);
    document.title = `${whole(position)} in line · onsale`;
    const state = `${isSoldOut} ${isPaused}`;
    if (state === spokenState && Date.now() - spokenAt < SPOKEN_EVERY) return;
    [spokenState, spokenAt] = [state, Date.now()];
    const words = [`Position ${position}.`, turnWords(next), isPaused && paused.textContent, isSoldOut && soldOut.textContent];
    fill(spoken, words.filter(Boolean).join(" "));
  };
  show(place);

  const leave = (event) => busily(event.currentTarget, async () => {
    await api.leaveQueue(place.token, { user: place.userId, tokenId: place.tokenId });
    onLeave();
  });
  const element = h("section", { class: "card line", "aria-label": "Waiting room" },
    h("h2", {}, "Your place in line"), announced.element, number, wait, spoken, paused, soldOut,
    h("div", { class: "dots", "aria-hidden": "true" }, dots),
    h("div", { class: "spread" }, scale, h("button", { type: "button", class: "link", on: { click: leave } }, "Leave the line")));
  return { element, show };
}

/** When the turn comes. Nothing while that is not known: the room is paused or closed, or there is nothing to come for. */
function turnWords({ position, estimatedWaitSeconds: seconds, estimatedWait: wait, paused, closed, soldOut }) {
  if (paused || closed || soldOut || seconds == null || position === 1) return "";
  if (seconds <= 1) return `Your turn comes ${roughly(seconds)}.`;
  return `Your turn comes in ${roughly(seconds)}${wait ? `: most likely in ${between(wait)}` : ""}.`;
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
