// Dates and times as a visitor reads them: those of the venue, in the zone that the server names. The visitor's own are
// only a hint.

const named = document.querySelector('meta[name="onsale-timezone"]')?.content;

/** The IANA name of the zone in which the server reads dates; UTC if this browser does not know it. */
export const zone = named && isKnown(named) ? named : "UTC";

function isKnown(name) {
  try {
    return Boolean(new Intl.DateTimeFormat("en-GB", { timeZone: name }));
  } catch {
    return false;
  }
}

const format = (options, timeZone = zone) => new Intl.DateTimeFormat("en-GB", { ...options, timeZone });

const CLOCK = { hour: "2-digit", minute: "2-digit" };
const DATE = { weekday: "short", day: "numeric", month: "short" };
const ZONED = { timeZoneName: "short" };

const DAY = format(DATE, "UTC");
const DAY_OF_YEAR = format({ ...DATE, year: "numeric" }, "UTC");
const TIME = format({ ...CLOCK, ...ZONED });
const MOMENT = format({ day: "numeric", month: "short", ...CLOCK, ...ZONED });
const EVENING = format({ ...DATE, ...CLOCK, ...ZONED });
const EVENING_OF_YEAR = format({ ...DATE, year: "numeric", ...CLOCK, ...ZONED });
const YEAR = format({ year: "numeric" });

// Without a zone of its own a format takes that of the visitor.
const WALL = { year: "numeric", month: "numeric", day: "numeric", ...CLOCK };
const WALL_HERE = new Intl.DateTimeFormat("en-GB", WALL);
const WALL_THERE = format(WALL);
const OWN = new Intl.DateTimeFormat("en-GB", { ...DATE, ...CLOCK, ...ZONED });

const thisYear = () => YEAR.format(new Date());

/** A date as the server names it, whatever the zone of the reader; with its year if that is not the present one. */
export const day = (date) =>
  (date.startsWith(thisYear()) ? DAY : DAY_OF_YEAR).format(new Date(`${date}T00:00:00Z`));

/** The first and the last date of a concert: `Sat, 5 Dec – Sun, 6 Dec`. */
export function datesOf({ firstDate, lastDate }) {
  if (!firstDate) return "no dates yet";
  return firstDate === lastDate ? day(firstDate) : `${day(firstDate)} – ${day(lastDate)}`;
}

/** `19:00 GMT+9` */
export const time = (instant) => TIME.format(new Date(instant));

/** `29 Nov, 19:00 GMT+9` */
export const moment = (instant) => MOMENT.format(new Date(instant));

/** `Sun, 29 Nov, 19:00 GMT+9` */
export function evening(instant) {
  const at = new Date(instant);
  return (YEAR.format(at) === thisYear() ? EVENING : EVENING_OF_YEAR).format(at);
}

/** What the visitor's own clock shows at that instant, as a hint; null if it is what the venue's shows. */
export function yours(instant) {
  const at = new Date(instant);
  return WALL_HERE.format(at) === WALL_THERE.format(at) ? null : `${OWN.format(at)} your time`;
}

/** What all dates and times on the page refer to. */
export const zoneWords = () => `Dates and times are those of the venue (${zone}).`;

/** `4:05` for 245 seconds. */
export function minutes(seconds) {
  const left = Math.max(0, Math.ceil(seconds));
  return `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
}

/** Text for the bounds of a wait, in seconds. */
export function between({ low, high }) {
  if (high < 90) return `${low} to ${high} seconds`;
  const [least, most] = [Math.floor(low / 60), Math.ceil(high / 60)];
  return least === 0 ? `up to ${most} minutes` : `${least} to ${most} minutes`;
}

/** Text for a stretch of time that is only estimated. */
export function roughly(seconds) {
  if (seconds <= 1) return "any moment now";
  if (seconds < 90) return `about ${seconds} seconds`;
  return `about ${Math.round(seconds / 60)} minutes`;
}
