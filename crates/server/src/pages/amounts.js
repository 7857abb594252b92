// How amounts read in the language of the page.

import { number, t } from "./language.js";

export const whole = number;

export const points = (amount) => t("points", { n: amount });

/** `Seats 7, 8` */
export function seatNames(seats) {
  const sorted = [...seats].sort((one, other) => one - other);
  return t("seats", { n: sorted.length, seats: sorted.join(", ") });
}
