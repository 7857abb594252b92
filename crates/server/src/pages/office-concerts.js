// The list of concerts with search, and a new concert.

import { h } from "./dom.js";
import { list, query, writer } from "./office-api.js";
import { ask } from "./office-dialogs.js";
import { earlyFields, earlyOf } from "./office-early.js";
import { field, given } from "./office-forms.js";
import { hoursFields, noticeFields, noticeOf, saleBadge } from "./office-hours.js";
import { dates, number, points, t } from "./office-language.js";
import { actions, announce, button, filled, growing, notify, table, viewLink } from "./office-parts.js";
import { queueFields } from "./office-queue.js";
import { session } from "./office-session.js";

/** What was searched for last, so that a way back from a concert leads to the same list. */
const search = { q: "", from: "", to: "" };

export async function show(page) {
  const found = growing({ first: () => list(`/admin/concerts${query({ ...search, limit: 50 })}`), show: concertsTable });
  const form = searchForm(search, async () => {
    const rows = await found.load();
    announce(t("found", { n: rows.length }));
  });
  page.show([page.head(t("menu.concerts"), { side: session.may("run") && actions(button(t("newConcert"), createConcert, "primary")) }), form, found.element], found.load, 5_000);
  await found.load();
}

/** A search by words and dates, as typed. `state` is changed in place. */
export function searchForm(state, load) {
  const input = (name, kind, label) => {
    const one = h("input", { id: `search-${name}`, type: kind, name, "data-key": `search-${name}`, value: state[name], maxlength: 200, autocomplete: "off" });
    return h("div", { class: "field" }, h("label", { for: `search-${name}` }, label), one);
  };
  let timer = 0;
  const read = (event) => {
    state[event.target.name] = event.target.value.trim();
    clearTimeout(timer);
    timer = setTimeout(load, 250);
  };
  const submit = (event) => {
    event.preventDefault();
    clearTimeout(timer);
    load();
  };
  return h("form", { class: "search", role: "search", on: { input: read, submit } },
    input("q", "search", t("search")), input("from", "date", t("fromDate")), input("to", "date", t("toDate")));
}

const concertsTable = (rows) => table({
  caption: t("menu.concerts"), rows, empty: search.q || search.from || search.to ? t("nothingFound") : t("noConcerts"),
  columns: [
    { name: t("concert"), cell: ({ concertId, title, venue }) => [viewLink(`concerts/${concertId}`, title), h("span", { class: "hint block" }, venue)] },
    { name: t("dates"), cell: dates },
    { name: t("state"), cell: (concert) => saleBadge(concert, false) },
    { name: t("soldOf"), kind: "amount", cell: ({ totals }) => [h("span", {}, `${number(totals.sold)} / ${number(totals.capacity)}`), filled(totals)] },
    { name: t("revenue"), kind: "amount", cell: ({ totals }) => points(totals.revenue) },
  ],
});

async function createConcert() {
  const write = writer();
  let made = null;
  const queue = queueFields(undefined, 0, earlyFields(), earlyOf);
  await ask({
    title: t("newConcert"), submit: t("create"), text: t("newConcertText"),
    fields: [
      field({ name: "title", label: t("title"), required: true, wide: true }), field({ name: "venue", label: t("venue"), required: true, wide: true }),
      ...hoursFields(), field({ name: "maxSeatsPerUser", label: t("maxSeatsPerUser"), kind: "number", min: 1, max: 20, required: true, value: 4 }),
      ...noticeFields(null), field({ name: "closed", label: t("createClosed"), kind: "check", hint: t("createClosed.hint"), wide: true }),
    ],
    extra: [queue],
    onSubmit: async ({ ko, en, ...values }) => {
      made = await write("POST", "/admin/concerts", given({ ...values, notice: noticeOf({ ko, en }) }));
    },
  });
  if (!made) return;
  notify(t("created", { name: made.title }));
  location.hash = `#/concerts/${made.concertId}`;
}
