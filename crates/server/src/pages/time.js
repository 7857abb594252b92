// Dates and times as a visitor reads them: those of the venue, in the zone that the server names. The visitor's own are
// only a hint.

import { currentLanguage, t, tagOf, zone } from "./language.js";

const CLOCK = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const DATE = { weekday: "short", day: "numeric", month: "short" };
const ZONED = { timeZoneName: "short" };
const WALL = { year: "numeric", month: "numeric", day: "numeric", ...CLOCK };

/** The formats of the language that was used last. */
let formats = null;

function current() {
  if (formats?.language === currentLanguage()) return formats;
  const format = (options, timeZone = zone) => new Intl.DateTimeFormat(tagOf(), { ...options, timeZone });
  formats = {
    language: currentLanguage(),
    day: format(DATE, "UTC"),
    dayOfYear: format({ ...DATE, year: "numeric" }, "UTC"),
    time: format({ ...CLOCK, ...ZONED }),
    second: format({ ...CLOCK, second: "2-digit", ...ZONED }),
    moment: format({ day: "numeric", month: "short", ...CLOCK, ...ZONED }),
    evening: format({ ...DATE, ...CLOCK, ...ZONED }),
    eveningOfYear: format({ ...DATE, year: "numeric", ...CLOCK, ...ZONED }),
    // Without a zone of its own a format takes that of the visitor.
    own: new Intl.DateTimeFormat(tagOf(), { ...DATE, ...CLOCK, ...ZONED }),
  };
  return formats;
}

const YEAR = new Intl.DateTimeFormat("en-GB", { year: "numeric", timeZone: zone });
const WALL_HERE = new Intl.DateTimeFormat("en-GB", WALL);
const WALL_THERE = new Intl.DateTimeFormat("en-GB", { ...WALL, timeZone: zone });

const thisYear = () => YEAR.format(new Date());

/** A date as the server names it, whatever the zone of the reader; with its year if that is not the present one. */
export function day(date) {
  const { day: short, dayOfYear } = current();
  return (date.startsWith(thisYear()) ? short : dayOfYear).format(new Date(`${date}T00:00:00Z`));
}

/** The first and the last date of a concert: `Sat, 5 Dec – Sun, 6 Dec`. */
export function datesOf({ firstDate, lastDate }) {
  if (!firstDate) return t("noDates");
  return firstDate === lastDate ? day(firstDate) : `${day(firstDate)} – ${day(lastDate)}`;
}

/** `19:00 GMT+9` */
export const time = (instant) => current().time.format(new Date(instant));

/** `19:00:05 GMT+9` */
export const second = (instant) => current().second.format(new Date(instant));

/** `29 Nov, 19:00 GMT+9` */
export const moment = (instant) => current().moment.format(new Date(instant));

/** `Sun, 29 Nov, 19:00 GMT+9` */
export function evening(instant) {
  const at = new Date(instant);
  const { evening: short, eveningOfYear } = current();
  return (YEAR.format(at) === thisYear() ? short : eveningOfYear).format(at);
}

/** What the visitor's own clock shows at that instant, as a hint; null if it is what the venue's shows. */
export function yours(instant) {
  const at = new Date(instant);
  return WALL_HERE.format(at) === WALL_THERE.format(at) ? null : t("yourTime", { at: current().own.format(at) });
}

/** `Sun, 29 Nov, 19:00 GMT+9`, with what the visitor's own clock shows if that is another time. */
export function both(instant) {
  const own = yours(instant);
  return own ? `${evening(instant)} (${own})` : evening(instant);
}

/** What all dates and times on the page refer to. */
export const zoneWords = () => t("zone", { zone });

/** `4:05` for 245 seconds, `1:04:05` for an hour more. */
export function minutes(seconds) {
  const left = Math.max(0, Math.ceil(seconds));
  const two = (value) => String(value).padStart(2, "0");
  const hours = Math.floor(left / 3600);
  const rest = Math.floor((left % 3600) / 60);
  return hours ? `${hours}:${two(rest)}:${two(left % 60)}` : `${rest}:${two(left % 60)}`;
}

/** Text for the bounds of a wait, in seconds. */
export function between({ low, high }) {
  if (high < 90) return t("between.seconds", { low, high });
  const [least, most] = [Math.floor(low / 60), Math.ceil(high / 60)];
  return least === 0 ? t("between.within", { most }) : t("between.minutes", { least, most });
}

/** Text for a stretch of time that is only estimated. */
export function roughly(seconds) {
  if (seconds <= 1) return t("roughly.now");
  return seconds < 90 ? t("roughly.seconds", { n: seconds }) : t("roughly.minutes", { n: Math.round(seconds / 60) });
}
