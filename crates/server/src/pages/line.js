// The waiting room: a position that moves, told by the server as it does.

import { busily } from "./account.js";
import * as api from "./api.js";
import { fill, h, plural, roughly, whole } from "./dom.js";

/** Dots that stand for the people in line, at most. */
const DOTS_MAX = 120;

/** A screen reader hears of the position no more often than this. */
const SPOKEN_EVERY = 5_000;

export function lineView(place, signal, { onPlace, onLeave, onLost }) {
  const number = h("p", { class: "position", "aria-hidden": "true" });
  const wait = h("p", { class: "lead", "aria-hidden": "true" });
  const spoken = h("p", { class: "hidden", role: "status", "aria-live": "polite" });
  const soldOut = h("p", { class: "message bad", hidden: true }, "Nothing is left in this concert, and no hold can come back.");
  const scale = h("p", { class: "hint" });
  const roll = counter(number, signal);
  const total = Math.max(place.position, 1);
  const each = Math.ceil(total / DOTS_MAX);
  const dots = Array.from({ length: Math.ceil(total / each) }, () => h("i"));
  fill(scale, each === 1 ? "Each dot is a person; the last one is you." : `Each dot is ${each} people; you are in the last one.`);
  let spokenAt = 0;

  const show = ({ position, estimatedWaitSeconds, soldOut: isSoldOut }) => {
    roll(position);
    fill(wait, position === 1 ? "You are next." : `${plural(position - 1, "person is", "people are")} ahead of you. Your turn comes ${soon(estimatedWaitSeconds)}.`);
    const left = Math.ceil(position / each);
    dots.forEach((dot, index) => (dot.className = index === left - 1 ? "you" : index < left ? "ahead" : "gone"));
    soldOut.hidden = !isSoldOut;
    document.title = `${whole(position)} in line · onsale`;
    if (Date.now() - spokenAt < SPOKEN_EVERY) return;
    spokenAt = Date.now();
    fill(spoken, `Position ${position}. Your turn comes ${soon(estimatedWaitSeconds)}.`);
  };

  const hear = (next) => {
    if (signal.aborted) return;
    if (next.status === "WAITING") show(next);
    else onPlace(next);
  };
  follow(place.token, signal, hear, onLost);
  show(place);

  const leave = (event) => busily(event.currentTarget, async () => {
    await api.leaveQueue(place.token);
    onLeave();
  });
  return h("section", { class: "card line", "aria-label": "Waiting room" },
    h("h2", {}, "Your place in line"), number, wait, spoken, soldOut,
    h("div", { class: "dots", "aria-hidden": "true" }, dots),
    h("div", { class: "spread" }, scale, h("button", { type: "button", class: "link", on: { click: leave } }, "Leave the line")));
}

const soon = (seconds) => (seconds <= 1 ? roughly(seconds) : `in ${roughly(seconds)}`);

/** Listens; where the stream is refused, asks as often as the server says. */
function follow(token, signal, hear, onLost) {
  const stream = api.followQueuePlace(token);
  signal.addEventListener("abort", () => stream.close());
  for (const name of ["position", "active", "expired"]) {
    stream.addEventListener(name, ({ data }) => {
      // The server ends the stream after this; unasked, the browser would open it again.
      if (name !== "position") stream.close();
      hear(JSON.parse(data));
    });
  }
  stream.addEventListener("error", () => {
    if (stream.readyState === EventSource.CLOSED && !signal.aborted) poll(token, signal, hear, onLost);
  });
}

async function poll(token, signal, hear, onLost) {
  while (!signal.aborted) {
    try {
      const { body } = await api.getQueuePlace(token);
      hear(body);
      await api.pause((body.pollAfterSeconds ?? 1) * 1000);
    } catch (problem) {
      if (!(problem instanceof api.Problem)) throw problem;
      if (!problem.isPassing) return onLost(problem);
      await api.pause((problem.retryAfter ?? 1) * 1000);
    }
  }
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
