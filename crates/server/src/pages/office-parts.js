// Parts of every view: tables and lists, figures, states, messages.

import { fill, h } from "./dom.js";
import { GrowingList } from "./growing.js";
import { number, t } from "./office-language.js";

const notices = document.getElementById("notices");

/** Shows a message at the edge of the page for a few seconds. It is read aloud. */
export function notify(words, kind = "calm") {
  const shown = h("p", { class: `notice ${kind}` }, words);
  notices.append(shown);
  while (notices.children.length > 3) notices.firstChild.remove();
  setTimeout(() => shown.remove(), 6_000);
}

/** Reads a text aloud without showing it. */
export function announce(words) {
  fill(document.getElementById("said"), words);
}

/** Runs the task of a button, once at a time. */
export async function busily(button, task) {
  if (button.getAttribute("aria-busy") === "true") return;
  button.setAttribute("aria-busy", "true");
  try {
    await task();
  } finally {
    button.removeAttribute("aria-busy");
  }
}

export const card = (title, ...children) => {
  const heading = title && h("h2", {}, title);
  return h("section", { class: "card", "aria-label": title || false }, heading, children);
};

/** A row of figures: `[name, value, kind]`. */
export const figures = (entries) => h("dl", { class: "figures" }, entries.filter(Boolean).map(([name, value, kind]) =>
  h("div", { class: kind ?? false }, h("dt", {}, name), h("dd", {}, typeof value === "number" ? number(value) : value ?? "–"))));

/** A state in a word, distinguished by its text and not by its colour alone. */
export const badge = (words, kind = "") => h("span", { class: `badge ${kind}` }, words);

/** How a hall is filled, as a bar with its numbers in the text next to it. */
export function filled({ sold = 0, held = 0, blocked = 0, capacity = 0 }) {
  const share = (value) => (capacity ? `${(100 * value) / capacity}%` : "0%");
  return h("span", { class: "filled", "aria-hidden": "true", vars: { "--sold": share(sold), "--held": share(held), "--blocked": share(blocked) } },
    h("i", { class: "sold" }), h("i", { class: "held" }), h("i", { class: "blocked" }));
}

/**
 * A table. `columns` are `{name, cell, kind}`: the first names the row. On a phone each row becomes a card with the names of
 * its columns.
 */
export function table({ caption, columns, rows, empty = t("empty") }) {
  if (!rows.length) return h("p", { class: "empty" }, empty);
  const cell = (row, { name, cell: show, kind = "" }, index) => h(index ? "td" : "th",
    { scope: index ? false : "row", role: index ? "cell" : "rowheader", class: kind || false, "data-name": name || false }, show(row) ?? "–");
  // Roles are named, because a table that is laid out as cards is none for some screen readers.
  return h("table", { class: "table", role: "table" }, h("caption", { class: "hidden" }, caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, columns.map(({ name, kind }) => h("th", { scope: "col", role: "columnheader", class: kind || false }, name || h("span", { class: "hidden" }, t("actions")))))),
    h("tbody", { role: "rowgroup" }, rows.map((row) => h("tr", { role: "row" }, columns.map((column, index) => cell(row, column, index))))));
}

/** A list of the server that grows: `first` requests its first page, `show` makes its table. Returns `{element, load}`. */
export function growing({ first, show, size = 50 }) {
  const element = h("div", { class: "growing" }, h("p", { class: "hint" }, t("loading")));
  const rows = new GrowingList(first, { size });
  let drawn = "";
  const load = async () => {
    const { entries, isLast } = await rows.load();
    // Rows that are unchanged stay as they are, with what is open or selected in them.
    const text = JSON.stringify([entries, isLast]);
    if (text === drawn) return entries;
    drawn = text;
    const more = async (event) => {
      rows.grow();
      await busily(event.currentTarget, load);
    };
    fill(element, show(entries), !isLast && h("p", { class: "more" }, h("button", { type: "button", "data-key": "more", on: { click: more } }, t("showMore"))));
    return entries;
  };
  return { element, load };
}

/** Fills an element if `state` differs from that of the last time. */
export function redraw(element, state, make) {
  const text = JSON.stringify(state);
  if (element.shownState === text) return;
  element.shownState = text;
  fill(element, make());
}

/** A link that looks like a button. */
export const linkButton = (href, words, kind = "") => h("a", { class: `button ${kind}`, href }, words);

/** A link to a view of the back office, such as `concerts/<id>`. */
export const viewLink = (path, words) => h("a", { href: `#/${path}`, "data-key": path }, words);

/** A bar of buttons; false entries are left out. */
export const actions = (...buttons) => h("div", { class: "row actions" }, buttons);

export const button = (words, onClick, kind = "") =>
  h("button", { type: "button", class: kind || false, on: { click: (event) => busily(event.currentTarget, () => onClick(event)) } }, words);
