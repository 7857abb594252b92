// The list of lectures with search, and a new lecture.

import { h } from "./dom.js";
import { list, query, writer } from "./office-api.js";
import { searchForm } from "./office-concerts.js";
import { ask } from "./office-dialogs.js";
import { field, given } from "./office-forms.js";
import { moment, number, t } from "./office-language.js";
import { actions, announce, badge, button, growing, notify, table, viewLink } from "./office-parts.js";
import { session } from "./office-session.js";

const CAPACITY_MAX = 1_000_000;
const search = { q: "", from: "", to: "" };

export async function show(page) {
  const found = growing({ first: () => list(`/admin/lectures${query({ ...search, limit: 50 })}`), show: lecturesTable });
  const form = searchForm(search, async () => announce(t("found", { n: (await found.load()).length })));
  page.show([page.head(t("menu.lectures"), { side: session.may("run") && actions(button(t("newLecture"), createLecture, "primary")) }), form, found.element], found.load, 5_000);
  await found.load();
}

/** What applicants can do at this moment. */
export function lectureBadge({ cancelled, closed, opensAt, startsAt, remaining }) {
  if (cancelled) return badge(t("status.cancelled"), "bad");
  if (Date.parse(startsAt) <= Date.now()) return badge(t("lecture.started"));
  if (closed) return badge(t("status.closed"), "warm");
  if (opensAt && Date.parse(opensAt) > Date.now()) return badge(t("sale.notYet"), "warm");
  return remaining === 0 ? badge(t("lecture.full")) : badge(t("lecture.open"), "good");
}

const lecturesTable = (rows) => table({
  caption: t("menu.lectures"), rows, empty: search.q || search.from || search.to ? t("nothingFound") : t("noLectures"),
  columns: [
    { name: t("lecture"), cell: ({ lectureId, title, lecturer }) => [viewLink(`lectures/${lectureId}`, title), lecturer && h("span", { class: "hint block" }, lecturer)] },
    { name: t("startsAt"), cell: ({ startsAt }) => moment(startsAt) },
    { name: t("state"), cell: lectureBadge },
    { name: t("enrolled"), kind: "amount", cell: ({ enrolled, capacity }) => `${number(enrolled)} / ${number(capacity)}` },
    { name: t("waitlisted"), kind: "amount", cell: ({ waitlisted }) => number(waitlisted) },
  ],
});

/** Fields of a lecture for a form. */
export const lectureFields = (lecture = {}) => [
  field({ name: "title", label: t("title"), required: true, value: lecture.title, wide: true }),
  field({ name: "lecturer", label: t("lecturer"), value: lecture.lecturer, wide: true }),
  field({ name: "startsAt", label: t("startsAt"), kind: "moment", required: true, value: lecture.startsAt }),
  field({ name: "opensAt", label: t("lectureOpensAt"), kind: "moment", value: lecture.opensAt }),
  field({ name: "capacity", label: t("capacity"), kind: "number", min: 1, max: CAPACITY_MAX, required: true, value: lecture.capacity ?? 30 }),
  field({ name: "closed", label: t("lectureClosed"), kind: "check", value: lecture.closed, wide: true }),
];

async function createLecture() {
  const write = writer();
  let made = null;
  await ask({
    title: t("newLecture"), submit: t("create"), fields: lectureFields(),
    onSubmit: async (values) => {
      made = await write("POST", "/admin/lectures", given(values));
    },
  });
  if (!made) return;
  notify(t("created", { name: made.title }));
  location.hash = `#/lectures/${made.lectureId}`;
}
