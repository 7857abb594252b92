// One lecture: its figures, its applicants, changes and its cancellation.

import { fill, h } from "./dom.js";
import { find, get, list, writer } from "./office-api.js";
import { ask, typed } from "./office-dialogs.js";
import { changed, field } from "./office-forms.js";
import { currentLanguage, moment, t } from "./office-language.js";
import { lectureBadge, lectureFields } from "./office-lectures.js";
import { actions, badge, button, card, figures, growing, linkButton, notify, table } from "./office-parts.js";
import { session } from "./office-session.js";
import { at } from "./place.js";

const REFRESH = 3_000;

export async function show(page, lectureId) {
  const path = `/admin/lectures/${lectureId}`;
  const mayRun = session.may("run");
  const [head, state, progress] = [h("div"), h("div"), h("div")];
  let lecture, drawn, cancellation;
  const applicants = growing({ first: () => list(`${path}/applicants?limit=100`), size: 100, show: (rows) => applicantsTable(rows) });

  const waitlist = growing({ first: () => list(`${path}/waitlist?limit=100`), size: 100, show: (rows) => waitlistTable(rows) });

  const draw = () => {
    fill(state, figures([[t("enrolled"), lecture.enrolled], [t("remaining"), lecture.remaining], [t("capacity"), lecture.capacity], [t("waitlisted"), lecture.waitlisted]]));
    const text = JSON.stringify([{ ...lecture, enrolled: 0, remaining: 0, waitlisted: 0 }, cancellation, currentLanguage()]);
    if (text === drawn) return;
    drawn = text;
    const times = [t("startsWords", { at: moment(lecture.startsAt) }), lecture.opensAt && t("lectureOpensWords", { at: moment(lecture.opensAt) })].filter(Boolean).join(" · ");
    fill(head, page.head(lecture.title, { back: ["#/lectures", t("menu.lectures")], side: lectureBadge(lecture) }), h("p", { class: "hint" }, [lecture.lecturer, times].filter(Boolean).join(" · ")),
      actions(mayRun && !lecture.cancelled && button(t("editLecture"), change), linkButton(at(`${path}/applicants.csv?bom=true`), t("csvExcel")), linkButton(at(`${path}/applicants.csv`), t("csv")),
        mayRun && !lecture.cancelled && button(t("cancelLecture"), cancel, "danger")));
    fill(progress, cancellation && card(t("cancellation"), h("p", {}, badge(t(`cancel.${cancellation.state}`), cancellation.state === "DONE" ? "good" : "warm"), " ", t("cancelledWords", { at: moment(cancellation.cancelledAt), reason: cancellation.reason })),
      figures([[t("applications"), cancellation.applications], [t("applicationsCancelled"), cancellation.applicationsCancelled]])));
  };
  const load = async () => {
    const { enrolled, waitlisted } = lecture ?? {};
    lecture = await get(path);
    if (lecture.cancelled && cancellation?.state !== "DONE") cancellation = await find(`${path}/cancellation`);
    draw();
    if (enrolled != null && (enrolled !== lecture.enrolled || waitlisted !== lecture.waitlisted)) await lists();
  };
  const lists = () => Promise.all([applicants.load(), waitlist.load()]);
  const reload = async () => {
    await load();
    await lists();
  };
  const change = async () => {
    const write = writer();
    const isDone = await ask({
      title: t("editLecture"), submit: t("save"), fields: lectureFields(lecture), text: t("lectureText"),
      onSubmit: async (values) => {
        const patch = changed({ ...lecture, closed: Boolean(lecture.closed) }, values);
        if (Object.keys(patch).length) await write("PATCH", path, patch);
      },
    });
    if (!isDone) return;
    notify(t("saved"));
    await reload();
  };
  const cancel = async () => {
    const write = writer();
    const isDone = await ask({
      title: t("cancelLecture"), submit: t("cancelLecture"), kind: "danger", text: t("cancelLectureText", { n: lecture.enrolled }),
      fields: [field({ name: "reason", label: t("reason"), required: true, wide: true, hint: t("reason.hint") }), typed(lecture.title)],
      onSubmit: ({ reason }) => write("POST", `${path}/cancel`, { reason }),
    });
    if (!isDone) return;
    notify(t("lectureCancelled"));
    await reload();
  };
  const remove = async ({ userId, seatNumber }) => {
    const write = writer();
    const isDone = await ask({
      title: t("removeApplicant"), submit: t("remove"), kind: "danger",
      text: seatNumber ? t("removeApplicantText", { user: userId, n: seatNumber }) : t("removeWaitingText", { user: userId }),
      onSubmit: () => write("DELETE", `${path}/applications/${encodeURIComponent(userId)}`),
    });
    if (!isDone) return;
    notify(t("removed", { user: userId }));
    await reload();
  };
  /** The columns after the first one, which has a seat number or a position. */
  const columns = () => [
    { name: t("user"), cell: ({ userId }) => h("a", { href: `#/users/${userId}` }, userId) },
    { name: t("appliedAt"), cell: ({ appliedAt }) => moment(appliedAt) },
    mayRun && { name: "", kind: "do", cell: (row) => h("button", { type: "button", class: "small", "aria-label": t("removeOf", { user: row.userId }), on: { click: () => remove(row) } }, t("remove")) },
  ].filter(Boolean);
  const applicantsTable = (rows) => table({
    caption: t("applicants"), rows, empty: t("noApplicants"),
    columns: [{ name: t("seatNumber"), cell: ({ seatNumber }) => String(seatNumber) }, ...columns()],
  });
  const waitlistTable = (rows) => table({
    caption: t("waitlist"), rows, empty: t("noWaitlist"),
    columns: [{ name: t("listPosition"), cell: ({ position }) => String(position) }, ...columns()],
  });

  await load();
  page.show([head, state, progress, card(t("applicants"), applicants.element), card(t("waitlist"), waitlist.element)], load, REFRESH);
  await lists();
}
