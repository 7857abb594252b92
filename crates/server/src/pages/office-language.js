// Korean and English: texts, numbers, and times of the venue in the language of the page.

import { DOOR } from "./office-words-door.js";
import { MORE } from "./office-words-more.js";
import { SALE } from "./office-words-sale.js";
import { COMMON } from "./office-words.js";
import * as language from "./language.js";

const { addWords, number, t, tagOf, zone } = language;

addWords({ ...COMMON, ...SALE, ...MORE, ...DOOR });

let formats = makeFormats();

export const { LANGUAGES, currentLanguage, has } = language;

/** Changes the language of the page, also for the next visit. */
export function setLanguage(next) {
  language.setLanguage(next);
  formats = makeFormats();
}

function makeFormats() {
  const tag = tagOf();
  const format = (options, timeZone = zone) => new Intl.DateTimeFormat(tag, { ...options, timeZone });
  const date = { year: "numeric", month: "short", day: "numeric" };
  const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return {
    day: format({ ...date, weekday: "short" }, "UTC"),
    moment: format({ ...date, weekday: "short", ...clock }),
    second: format({ ...date, ...clock, second: "2-digit" }),
    clock: format({ ...clock, second: "2-digit" }),
  };
}

export const points = (value) => (value == null ? "–" : t("points", { n: value }));

/** A date as the server writes it, such as `2026-12-19`. */
export const day = (date) => formats.day.format(new Date(`${date}T00:00:00Z`));

/** An instant as the clock of the venue shows it. */
export const moment = (instant) => (instant ? formats.moment.format(new Date(instant)) : "–");

export const second = (instant) => (instant ? formats.second.format(new Date(instant)) : "–");

export const clockTime = (instant) => formats.clock.format(new Date(instant));

/** The first and the last date of a concert. */
export function dates({ firstDate, lastDate }) {
  if (!firstDate) return t("noDates");
  return firstDate === lastDate ? day(firstDate) : `${day(firstDate)} – ${day(lastDate)}`;
}

const PARTS = new Intl.DateTimeFormat("en-GB", {
  timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});

/** What the clock of the venue shows, as milliseconds of a clock in UTC. */
function wall(instant) {
  const { year, month, day: date, hour, minute, second: seconds } = Object.fromEntries(PARTS.formatToParts(instant).map(({ type, value }) => [type, Number(value)]));
  return Date.UTC(year, month - 1, date, hour, minute, seconds);
}

/** The value of a `datetime-local` field for an instant: the clock of the venue. */
export function toField(instant) {
  return instant ? new Date(wall(new Date(instant))).toISOString().slice(0, 16) : "";
}

/** The instant that a `datetime-local` field names on the clock of the venue, in RFC 3339; null if it is empty. */
export function fromField(text) {
  if (!text) return null;
  const wanted = Date.parse(`${text.slice(0, 16)}:00Z`);
  if (Number.isNaN(wanted)) return null;
  // The offset at the wanted time, found in two steps because it may change in between.
  let instant = wanted;
  for (let step = 0; step < 2; step++) instant = wanted - (wall(new Date(instant)) - instant);
  return new Date(instant).toISOString();
}

export { number, t, zone };
