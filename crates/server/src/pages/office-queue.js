// Settings of a waiting room, with what they will do.

import { fill, h } from "./dom.js";
import { field } from "./office-forms.js";
import { t } from "./office-language.js";

const RATE_MAX = 1_000_000;
const DEFAULTS = { maxActive: 200, admitPerSecond: 50, activeSeconds: 600, claimSeconds: 60 };

/** How many buyers a minute a room admits if each uses the whole turn, and what limits that. */
export function effect({ maxActive, admitPerSecond, activeSeconds }) {
  const byTurns = (maxActive * 60) / activeSeconds;
  const byRate = admitPerSecond * 60;
  return { perMinute: Math.floor(Math.min(byTurns, byRate)), byTurns: Math.floor(byTurns), byRate, isRate: byRate < byTurns };
}

/** The effect in words: `200 active × 30 s = 400 buyers a minute`. */
export function effectWords(settings, waiting = 0) {
  const { maxActive, admitPerSecond, activeSeconds } = settings;
  if (![maxActive, admitPerSecond, activeSeconds].every((value) => Number.isInteger(value) && value > 0)) return [t("effect.incomplete")];
  const { perMinute, byTurns, byRate, isRate } = effect(settings);
  const words = [t("effect.turns", { active: maxActive, seconds: activeSeconds, n: byTurns })];
  if (isRate) words.push(t("effect.rate", { rate: admitPerSecond, n: byRate }));
  else words.push(t("effect.burst", { rate: admitPerSecond }));
  if (waiting > 0 && perMinute > 0) words.push(t("effect.line", { waiting, n: Math.ceil(waiting / perMinute) }));
  return words;
}

/**
 * The fields of a waiting room for a form: `element` shows the effect while the numbers are typed. `early` are further fields, and
 * `earlyOf` returns what is sent of their values.
 */
export function queueFields(settings = DEFAULTS, waiting = 0, early = [], earlyOf = () => ({})) {
  const seconds = (name, max) => field({ name, label: t(name), kind: "number", min: 1, max, required: true, value: settings[name], hint: t(`${name}.hint`) });
  const fields = [
    field({ name: "maxActive", label: t("maxActive"), kind: "number", min: 1, max: RATE_MAX, required: true, value: settings.maxActive, hint: t("maxActive.hint") }),
    field({ name: "admitPerSecond", label: t("admitPerSecond"), kind: "number", min: 1, max: RATE_MAX, required: true, value: settings.admitPerSecond, hint: t("admitPerSecond.hint") }),
    seconds("activeSeconds", 86_400), seconds("claimSeconds", 3_600),
  ];
  const all = [...fields, ...early];
  const valuesOf = (some) => Object.fromEntries(some.map((one) => [one.name, one.read()]));
  const output = h("div", { class: "effect", role: "status", "aria-live": "polite" });
  const show = () => fill(output, effectWords(valuesOf(fields), waiting).map((words) => h("p", {}, words)));
  const rows = h("div", { class: "fields" }, all.map((one) => one.element));
  rows.addEventListener("input", show);
  show();
  const editor = {
    name: "queue",
    element: h("fieldset", { class: "editor" }, h("legend", {}, t("queueSettings")), rows, output),
    read: () => ({ ...valuesOf(fields), ...earlyOf(valuesOf(early)) }),
    check: () => all.map((one) => one.check()).every(Boolean),
    show: (words, path = "") => all.find(({ name }) => path.endsWith(name))?.show(words),
  };
  return editor;
}
