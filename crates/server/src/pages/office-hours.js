// The hours of a sale: what they are, in words, and the fields to change them.

import { field } from "./office-forms.js";
import { moment, t } from "./office-language.js";
import { badge } from "./office-parts.js";

export const hoursFields = ({ opensAt = null, closesAt = null, codesUntil = null } = {}) => [
  field({ name: "opensAt", label: t("opensAt"), kind: "moment", value: opensAt, hint: t("opensAt.hint") }),
  field({ name: "closesAt", label: t("closesAt"), kind: "moment", value: closesAt, hint: t("closesAt.hint") }),
  field({ name: "codesUntil", label: t("codesUntil"), kind: "moment", value: codesUntil, hint: t("codesUntil.hint") }),
];

/** Fields of a notice in both languages; `read` of the form's values by `noticeOf`. */
export const noticeFields = (notice) => [
  field({ name: "ko", label: t("noticeKo"), kind: "long", value: notice?.ko, wide: true }),
  field({ name: "en", label: t("noticeEn"), kind: "long", value: notice?.en, wide: true, hint: t("notice.hint") }),
];

/** The notice of these fields; null if both are empty. */
export function noticeOf({ ko, en }) {
  if (!ko && !en) return null;
  return { ...(ko && { ko }), ...(en && { en }) };
}

/** What buyers can do at this moment: a state and its words. */
export function saleState({ closed, opensAt, closesAt, soldOut }, isPaused = false) {
  const now = Date.now();
  if (closed) return ["sale.closed", "bad"];
  if (closesAt && Date.parse(closesAt) <= now) return ["sale.over", "bad"];
  if (opensAt && Date.parse(opensAt) > now) return ["sale.notYet", "warm"];
  if (isPaused) return ["sale.paused", "warm"];
  if (soldOut) return ["sale.soldOut", ""];
  return ["sale.open", "good"];
}

export function saleBadge(concert, isPaused) {
  const [words, kind] = saleState(concert, isPaused);
  return badge(t(words), kind);
}

export const hoursWords = ({ opensAt, closesAt, codesUntil }) => [
  opensAt ? t("opensWords", { at: moment(opensAt) }) : t("opensAlways"),
  closesAt ? t("closesWords", { at: moment(closesAt) }) : t("closesNever"),
  codesUntil && t("codesUntilWords", { at: moment(codesUntil) }),
].filter(Boolean);
