// Early entry, its draw and the beacon: what they are, in words, and the forms to change them.

import { h } from "./dom.js";
import { writer } from "./office-api.js";
import { ask } from "./office-dialogs.js";
import { changed, field, given } from "./office-forms.js";
import { moment, number, t } from "./office-language.js";
import { badge } from "./office-parts.js";

/** The visible characters of ASCII: the value of a beacon is used as its source shows it. */
const VISIBLE = /^[\x21-\x7e]+$/;

/** The fields of early entry for a form. */
export const earlyFields = ({ earlyFrom = null, order = "arrival", drawAt = null } = {}) => [
  field({ name: "earlyFrom", label: t("earlyFrom"), kind: "moment", value: earlyFrom, hint: t("earlyFrom.hint") }),
  field({ name: "order", label: t("order"), kind: "choice", value: order, hint: t("order.hint"), options: ["arrival", "draw"].map((one) => [one, t(`order.${one}`)]) }),
  field({ name: "drawAt", label: t("drawAt"), kind: "moment", value: drawAt, hint: t("drawAt.hint") }),
];

const beaconFields = ({ beaconName = null, beaconAt = null }) => [
  field({ name: "beaconName", label: t("beaconName"), value: beaconName, wide: true, hint: t("beaconName.hint") }),
  field({ name: "beaconAt", label: t("beaconAt"), kind: "moment", value: beaconAt, hint: t("beaconAt.hint") }),
];

/** What a new concert sends of these fields: the server chooses the instant of a draw without one. */
export const earlyOf = ({ earlyFrom, order, drawAt }) => given({ earlyFrom, ...(order === "draw" && { order, drawAt }) });

/** What a change sends: the fields that differ. Without a draw neither its instant nor its beacon. */
export function earlyPatch(before, { earlyFrom, order, ...ofDraw }) {
  const patch = changed(before, { earlyFrom, order, ...(order === "draw" && ofDraw) });
  // An instant that is left empty stays as it is, or is the usual one.
  if (patch.drawAt === null) delete patch.drawAt;
  return patch;
}

/** Asks for other settings of early entry. Returns whether they were changed. */
export function changeEarly(path, queue, draw) {
  const write = writer();
  const { beaconName = null, beaconAt = null } = draw ?? {};
  return ask({
    title: t("editEarly"), text: t("earlyText"), submit: t("save"), fields: [...earlyFields(queue), ...beaconFields({ beaconName, beaconAt })],
    onSubmit: async (values) => {
      const patch = earlyPatch({ ...queue, beaconName, beaconAt }, values);
      if (Object.keys(patch).length) await write("PATCH", `${path}/queue`, patch);
    },
  });
}

/** Asks for the value of the beacon. Returns whether it was published. */
export function publishBeacon(path, { beaconName }) {
  const write = writer();
  return ask({
    title: t("publishBeacon"), text: t("publishBeaconText", { name: beaconName }), submit: t("publish"), kind: "danger",
    fields: [field({ name: "value", label: t("beaconValue"), required: true, length: 512, pattern: VISIBLE, wide: true })],
    onSubmit: ({ value }) => write("PUT", `${path}/draw/beacon`, { value }),
  });
}

/** Whether the value of a named beacon can be published: the list is closed, and the value is missing. */
export const awaitsBeacon = (draw) => draw?.state === "awaiting-beacon";

/** Early entry and the draw in words. */
export function earlyWords(queue, draw) {
  if (!queue.earlyFrom) return [h("p", { class: "hint" }, t("early.none"))];
  const pairs = [[t("earlyFrom"), moment(queue.earlyFrom)], [t("order"), t(`order.${queue.order}`)]];
  if (draw) {
    const { state, entries, commitment, entriesHash, beaconName, beaconAt, beacon } = draw;
    pairs.push([t("drawAt"), moment(queue.drawAt)], [t("state"), badge(t(`draw.${state}`), state === "drawn" ? "good" : state === "awaiting-beacon" ? "warm" : "")]);
    if (entries != null) pairs.push([t("entries"), number(entries)]);
    if (beaconName) pairs.push([t("beaconName"), beaconName], [t("beaconAt"), moment(beaconAt)]);
    if (beacon) pairs.push([t("beaconValue"), h("code", {}, beacon)]);
    pairs.push([t("commitment"), h("code", {}, commitment)]);
    if (entriesHash) pairs.push([t("entriesHash"), h("code", {}, entriesHash)]);
  }
  return [h("dl", { class: "pairs" }, pairs.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]))];
}
