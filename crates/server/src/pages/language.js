// The language of a page, Korean or English: chosen by the browser or by a switch. The shop and the back office share this; each adds
// the table of its own texts.

import { kept } from "./session.js";

/** Each text by its name: English, then Korean. */
const WORDS = {};

export const LANGUAGES = [["ko", "한국어"], ["en", "English"]];
const ORDER = ["en", "ko"];

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

const wished = () => [kept.get("language"), ...(navigator.languages ?? [navigator.language])].map((tag) => String(tag ?? "").slice(0, 2).toLowerCase());

let language = wished().find((tag) => ORDER.includes(tag)) ?? "en";
let whole = new Intl.NumberFormat(tagOf());
document.documentElement.lang = language;

export const currentLanguage = () => language;

/** The language of the page as `Intl` names it. */
export function tagOf() {
  return language === "ko" ? "ko-KR" : "en-GB";
}

/** Changes the language of the page, also for the next visit. */
export function setLanguage(next) {
  language = next;
  whole = new Intl.NumberFormat(tagOf());
  kept.set("language", next);
  document.documentElement.lang = next;
}

/** Adds texts: English, then Korean, by their names. */
export function addWords(table) {
  Object.assign(WORDS, table);
}

/** Whether there is a text of this name. */
export const has = (name) => name in WORDS;

/**
 * A text in the language of the page. `{name}` is replaced by a value; a number gets its separators. `{n|seat|seats}` is the
 * first word if n is 1, else the second.
 */
export function t(name, values = {}) {
  const text = WORDS[name]?.[ORDER.indexOf(language)] ?? name;
  return text.replace(/\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g, (_, key, one, many) => {
    const value = values[key];
    if (one !== undefined) return value === 1 ? one : many;
    return typeof value === "number" ? number(value) : value ?? "";
  });
}

export const number = (value) => (value == null ? "–" : whole.format(value));
