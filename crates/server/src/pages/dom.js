// Elements, and how amounts and instants read. Text is only ever set as text: nothing that a server sends becomes markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `on` holds listeners, `vars` CSS custom properties; false and null leave an attribute out. */
export function h(tag, properties = {}, ...children) {
  return build(document.createElement(tag), properties, children);
}

export function svg(tag, properties = {}, ...children) {
  return build(document.createElementNS(SVG, tag), properties, children);
}

function build(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === false || value == null) continue;
    if (name === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    // Through the object model: the content policy refuses style attributes.
    else if (name === "vars") for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child != null && child !== false));
  return element;
}

export function fill(element, ...children) {
  element.replaceChildren(...children.flat(Infinity).filter((child) => child != null && child !== false));
}

const WHOLE = new Intl.NumberFormat("en");
const DAY = new Intl.DateTimeFormat("en-GB", { weekday: "short", day: "numeric", month: "short", timeZone: "UTC" });
const TIME = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZoneName: "short" });
const MOMENT = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const EVENING = new Intl.DateTimeFormat("en-GB", {
  weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZoneName: "short",
});

export const whole = (number) => WHOLE.format(number);

export const points = (amount) => `${whole(amount)} ${amount === 1 ? "point" : "points"}`;

export const plural = (count, one, many = `${one}s`) => `${whole(count)} ${count === 1 ? one : many}`;

/** A date as the server names it, whatever the zone of the reader. */
export const day = (date) => DAY.format(new Date(`${date}T00:00:00Z`));

export const time = (instant) => TIME.format(new Date(instant));

export const moment = (instant) => MOMENT.format(new Date(instant));

export const evening = (instant) => EVENING.format(new Date(instant));

/** `4:05` for 245 seconds. */
export function minutes(seconds) {
  const left = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
}

export function seatNames(seats) {
  const sorted = [...seats].sort((one, other) => one - other);
  return `${sorted.length === 1 ? "Seat" : "Seats"} ${sorted.join(", ")}`;
}

/** Text for a stretch of time that is only estimated. */
export function roughly(seconds) {
  if (seconds <= 1) return "any moment now";
  if (seconds < 90) return `about ${seconds} seconds`;
  return `about ${Math.round(seconds / 60)} minutes`;
}

/** Runs `task` now and `pause` milliseconds after each end, not while the page is out of sight; returns what stops it. */
export function repeat(pause, task) {
  let timer = 0;
  let stopped = false;
  const turn = async () => {
    if (!document.hidden) await task();
    if (!stopped) timer = setTimeout(turn, pause);
  };
  turn();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
