// The list of attendees of a performance: to read, to print, and as a file.

import { fill, h } from "./dom.js";
import { find, list } from "./office-api.js";
import { moment, second, t } from "./office-language.js";
import { actions, announce, button, linkButton, notify, table } from "./office-parts.js";
import { session } from "./office-session.js";
import { at } from "./place.js";

/** Rows that are shown at a time; a printed list has all of them. */
const PAGE = 200;

export async function show(page, performanceId) {
  if (!performanceId) return choose(page);
  const path = `/admin/performances/${performanceId}/attendees`;
  const first = await list(`${path}?limit=${PAGE}`);
  const known = session.may("read") ? await find(`/admin/performances/${performanceId}`) : null;
  const concert = known && (await find(`/admin/concerts/${known.concertId}`));
  const title = concert ? `${concert.title}, ${moment(known.startsAt)}` : t("menu.attendees");
  let rows = [...first.body];
  let next = first.more;
  const area = h("div");
  const count = h("p", { class: "hint", role: "status" });
  const print = h("p", { class: "print-only hint" });
  const back = known ? [`#/performances/${performanceId}`, t("performance")] : ["#/attendees", t("menu.attendees")];

  const draw = () => {
    fill(count, next ? t("attendeesSome", { n: rows.length }) : t("attendeesAll", { n: rows.length }));
    fill(area, attendeesTable(rows), next && h("p", { class: "more" }, button(t("showMore"), more)));
  };
  const more = async () => {
    const answer = await next();
    rows = rows.concat(answer.body);
    next = answer.more;
    draw();
  };
  const all = async () => {
    while (next) await more();
    fill(print, t("printedAt", { at: second(new Date().toISOString()) }));
    announce(t("printing"));
    globalThis.print();
  };
  draw();
  page.show([page.head(title, { back }), concert && h("p", { class: "hint" }, concert.venue), print,
    actions(button(t("print"), all, "primary"), linkButton(at(`${path}.csv?bom=true`), t("csvExcel")), linkButton(at(`${path}.csv`), t("csv")),
      session.may("admit") && linkButton(at(`/check-in#/${performanceId}`), t("doorLink"))), count, area]);
  return undefined;
}

const attendeesTable = (rows) => table({
  caption: t("menu.attendees"), rows, empty: t("noAttendees"),
  columns: [
    { name: t("seat"), cell: ({ seat }) => String(seat) },
    { name: t("grade"), cell: ({ grade }) => grade },
    { name: t("user"), cell: ({ userId }) => (session.may("read") ? h("a", { href: `#/users/${userId}` }, userId) : userId) },
    { name: t("paidAt"), cell: ({ paidAt }) => moment(paidAt) },
    { name: t("checkedInAt"), cell: ({ checkedInAt }) => (checkedInAt ? moment(checkedInAt) : h("span", { class: "tick", "aria-label": t("notYet") }, "☐")) },
  ],
});

/** Roles that read no concerts open a list by the id or the address that an organiser gave them. */
function choose(page) {
  const input = h("input", { id: "which", name: "which", "data-key": "which", autocomplete: "off", spellcheck: "false", maxlength: 400, "aria-describedby": "which-hint" });
  const submit = (event) => {
    event.preventDefault();
    const id = /([0-9a-f]{8}-[0-9a-f-]{27})/i.exec(input.value)?.[1];
    if (id) location.hash = `#/performances/${id}/attendees`;
    else notify(t("noPerformanceId"), "bad");
  };
  page.show([page.head(t("menu.attendees")), session.may("read") && h("p", {}, h("a", { href: "#/concerts" }, t("chooseConcert"))),
    h("form", { class: "form", on: { submit } }, h("div", { class: "field wide" }, h("label", { for: "which" }, t("performanceId")), input, h("p", { class: "hint", id: "which-hint" }, t("performanceId.hint"))),
      h("div", { class: "row actions" }, h("button", { class: "primary" }, t("showList"))))]);
}
