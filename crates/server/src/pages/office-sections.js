// Editors of rows: sections of seats with grade and price, prices of grades, and rules of refunds.

import { fill, h } from "./dom.js";
import { field } from "./office-forms.js";
import { points, t } from "./office-language.js";

const SEATS_MAX = 100_000;
const PRICE_MAX = 100_000_000;

/**
 * An editor of rows, as a part of a form. `make` returns the fields of a row by name, `check` the words about what is wrong
 * with all rows together, `sum` a text below them.
 */
function rowsEditor({ name, title, add, least = 0, most = 1_000, rows, make, check = () => null, sum = () => "" }) {
  let all = [];
  const list = h("ol", { class: "rows" });
  const error = h("p", { class: "wrong", role: "alert", hidden: true });
  const total = h("p", { class: "hint", role: "status" });
  const values = () => all.map(({ fields }) => Object.fromEntries(Object.entries(fields).map(([key, one]) => [key, one.read()])));
  const say = (words) => {
    error.hidden = !words;
    fill(error, words ?? "");
  };
  const count = () => fill(total, sum(values()));
  const arrange = () => all.forEach(({ element, remove }, index) => {
    element.querySelector("fieldset").setAttribute("aria-label", t("rowOf", { n: index + 1 }));
    remove.disabled = all.length <= least;
    remove.setAttribute("aria-label", t("removeRow", { n: index + 1 }));
  });
  const append = (value) => {
    const fields = make(value);
    const remove = h("button", { type: "button", class: "small" }, t("remove"));
    const element = h("li", {}, h("fieldset", { class: "entry" }, Object.values(fields).map((one) => one.element), remove));
    const row = { fields, element, remove };
    remove.addEventListener("click", () => {
      const index = all.indexOf(row);
      all = all.filter((one) => one !== row);
      element.remove();
      arrange();
      count();
      (all[Math.min(index, all.length - 1)]?.remove ?? more).focus();
    });
    all.push(row);
    list.append(element);
    arrange();
    count();
    return row;
  };
  const more = h("button", { type: "button", class: "small" }, add);
  more.addEventListener("click", () => {
    if (all.length >= most) return;
    const row = append(null);
    Object.values(row.fields)[0].input.focus();
  });
  const element = h("fieldset", { class: "editor" }, h("legend", {}, title), list, error, h("div", { class: "row" }, more), total);
  list.addEventListener("input", () => {
    say(null);
    count();
  });
  rows.forEach(append);
  return {
    name,
    element,
    read: values,
    check() {
      const isFit = all.flatMap(({ fields }) => Object.values(fields)).map((one) => one.check()).every(Boolean);
      const words = isFit && check(values());
      say(words || null);
      return isFit && !words;
    },
    /** Shows what the server refused: `seats.2.price` is the field of a row. */
    show(words, path = name) {
      const [, index, key] = path.split(".");
      const one = all[Number(index)]?.fields[key];
      if (one) one.show(words);
      else say(words);
    },
    append,
    values,
  };
}

/** How many seats are in two or more of these sections; null if none is. */
function overlap(sections) {
  const sorted = [...sections].sort((one, other) => one.from - other.from);
  const index = sorted.findIndex((section, at) => at > 0 && section.from <= sorted[at - 1].to);
  return index > 0 ? sorted[index].from : null;
}

function wrongSections(sections) {
  if (sections.some(({ from, to }) => to < from)) return t("wrong.order");
  const twice = overlap(sections);
  return twice == null ? null : t("wrong.twice", { seat: twice });
}

function sumOfSections(sections) {
  const fit = sections.filter(({ from, to, price }) => from != null && to >= from && price != null);
  const seats = fit.reduce((sum, { from, to }) => sum + to - from + 1, 0);
  const worth = fit.reduce((sum, { from, to, price }) => sum + (to - from + 1) * price, 0);
  return t("sectionsSum", { n: seats, worth: points(worth) });
}

/** Sections of seats: `[{from, to, grade, price}]`. The next section begins behind the last one. */
export function sectionsEditor({ title = t("sections"), rows = [{ from: 1, to: 50, grade: "R", price: 50_000 }] } = {}) {
  let editor = null;
  editor = rowsEditor({
    name: "seats", title, add: t("addSection"), least: 1, rows, check: wrongSections, sum: sumOfSections,
    make: (row) => {
      const last = editor?.values().at(-1);
      const { from, to, grade, price } = row ?? { from: last?.to ? last.to + 1 : 1, to: null, grade: null, price: null };
      return {
        from: field({ name: "from", label: t("fromSeat"), kind: "number", min: 1, max: SEATS_MAX, required: true, value: from }),
        to: field({ name: "to", label: t("toSeat"), kind: "number", min: 1, max: SEATS_MAX, required: true, value: to }),
        grade: field({ name: "grade", label: t("grade"), required: true, value: grade, length: 200 }),
        price: field({ name: "price", label: t("price"), kind: "number", min: 0, max: PRICE_MAX, required: true, value: price }),
      };
    },
  });
  return editor;
}

/** Rules of refunds: `[{hoursBefore, feePercent}]`. */
export function policyEditor(rows) {
  return rowsEditor({
    name: "refundPolicy", title: t("refundRules"), add: t("addRule"), most: 20, rows,
    check: (rules) => (new Set(rules.map(({ hoursBefore }) => hoursBefore)).size < rules.length ? t("wrong.hoursTwice") : null),
    sum: (rules) => (rules.length ? "" : t("noRules")),
    make: (row) => ({
      hoursBefore: field({ name: "hoursBefore", label: t("hoursBefore"), kind: "number", min: 0, max: 8_760, required: true, value: row?.hoursBefore }),
      feePercent: field({ name: "feePercent", label: t("feePercent"), kind: "number", min: 0, max: 100, required: true, value: row?.feePercent }),
    }),
  });
}

/** One price for each grade. Reads only those that changed. */
export function pricesEditor(grades) {
  const fields = grades.map(({ grade, price }) => ({
    grade, price, one: field({ name: `price-${grade}`, label: t("priceOf", { grade }), kind: "number", min: 0, max: PRICE_MAX, required: true, value: price }),
  }));
  return {
    name: "prices",
    element: h("div", { class: "fields" }, fields.map(({ one }) => one.element)),
    read: () => fields.filter(({ one, price }) => one.read() !== price).map(({ grade, one }) => ({ grade, price: one.read() })),
    check: () => fields.map(({ one }) => one.check()).every(Boolean),
    show: (words) => fields[0]?.one.show(words),
  };
}

/** The rules of a policy in words, one line each. */
export function policyWords(rules) {
  if (!rules.length) return h("p", { class: "hint" }, t("noRules"));
  return h("ul", { class: "plain lines" }, rules.map(({ hoursBefore, feePercent }) =>
    h("li", {}, hoursBefore >= 48 && hoursBefore % 24 === 0 ? t("ruleWordsDays", { n: hoursBefore / 24, fee: feePercent }) : t("ruleWords", { n: hoursBefore, fee: feePercent }))));
}
