// One concert: its figures, its sale, its waiting room, its performances.

import { fill, h } from "./dom.js";
import { find, get, writer } from "./office-api.js";
import { codes } from "./office-codes.js";
import { ask } from "./office-dialogs.js";
import { awaitsBeacon, changeEarly, earlyWords, publishBeacon } from "./office-early.js";
import { attempt, changed, field } from "./office-forms.js";
import { hoursFields, hoursWords, noticeFields, noticeOf, saleBadge } from "./office-hours.js";
import { currentLanguage, moment, number, points, t } from "./office-language.js";
import { actions, badge, button, card, figures, filled, notify, redraw, table, viewLink } from "./office-parts.js";
import { effectWords, queueFields } from "./office-queue.js";
import { policyEditor, sectionsEditor } from "./office-sections.js";
import { session } from "./office-session.js";

const REFRESH = 2_000;

export async function show(page, concertId) {
  const path = `/admin/concerts/${concertId}`;
  let concert, queue, lots;
  const mayRun = session.may("run");
  const [head, state, sale, line, early, notice, performances] = Array.from({ length: 7 }, () => h("div"));
  const presale = mayRun ? codes(path) : null;
  let drawn = "";

  const draw = () => {
    const isPaused = queue.paused;
    redraw(state, [concert.room, concert.totals], () => figuresOf(concert));
    // Parts with buttons are made again only if what they show changed.
    const settled = JSON.stringify([{ ...concert, performances: null, totals: null, room: null }, { ...queue, waiting: 0, active: 0, issued: 0 }, lots, currentLanguage()]);
    redraw(performances, concert.performances, () => performancesTable(concert.performances));
    if (settled === drawn) return;
    drawn = settled;
    fill(head, page.head(concert.title, { back: ["#/concerts", t("menu.concerts")], side: saleBadge(concert, isPaused) }), h("p", { class: "hint" }, concert.venue));
    fill(sale, hoursWords(concert).map((words) => h("p", {}, words)), h("p", { class: "hint" }, t("seatsPerUser", { n: concert.maxSeatsPerUser })),
      mayRun && actions(button(t("editHours"), changeHours), button(concert.closed ? t("openSale") : t("closeSale"), toggleClosed, concert.closed ? "" : "danger")));
    fill(line, effectWords(queue).map((words) => h("p", {}, words)), isPaused && h("p", {}, badge(t("paused"), "warm"), " ", t("pausedText")),
      mayRun && actions(button(isPaused ? t("resume") : t("pause"), togglePaused), button(t("editQueue"), changeQueue)));
    fill(early, earlyWords(queue, lots),
      mayRun && actions(button(t("editEarly"), () => moved(changeEarly(path, queue, lots))), awaitsBeacon(lots) && button(t("publishBeacon"), () => moved(publishBeacon(path, lots)), "primary")));
    fill(notice, noticeWords(concert.notice), mayRun && actions(button(t("editNotice"), changeNotice)));
  };
  const load = async () => {
    [concert, queue] = await Promise.all([get(path), get(`${path}/queue`), presale?.load()]);
    lots = queue.order === "draw" ? await find(`/concerts/${concertId}/draw`) : null;
    draw();
  };

  /** A dialog that changes fields of the concert. Only what differs is sent. */
  const edit = async (title, fields, read, text) => {
    const write = writer();
    const isDone = await ask({
      title, text, fields, submit: t("save"),
      onSubmit: async (values) => {
        const patch = changed(concert, read(values));
        if (Object.keys(patch).length) await write("PATCH", path, patch);
      },
    });
    if (isDone) await done();
  };
  const done = async (words = t("saved")) => {
    notify(words);
    await load();
  };
  const moved = async (asked) => {
    if (await asked) await done();
  };
  const changeHours = () => edit(t("editHours"), [...hoursFields(concert)], (values) => values, t("hoursText"));
  const changeNotice = () => edit(t("editNotice"), noticeFields(concert.notice), (values) => ({ notice: noticeOf(values) }), t("noticeText"));
  const changeBasics = () => edit(t("editBasics"), [
    field({ name: "title", label: t("title"), required: true, value: concert.title, wide: true }),
    field({ name: "venue", label: t("venue"), required: true, value: concert.venue, wide: true }),
    field({ name: "maxSeatsPerUser", label: t("maxSeatsPerUser"), kind: "number", min: 1, max: 20, required: true, value: concert.maxSeatsPerUser, hint: t("maxSeatsPerUser.hint") }),
  ], (values) => values);

  const togglePaused = async () => {
    const write = writer();
    const paused = !queue.paused;
    const answer = await attempt(() => write("PATCH", `${path}/queue`, { paused }));
    if (answer !== undefined) await done(paused ? t("pausedDone") : t("resumedDone"));
  };
  const toggleClosed = async () => {
    const write = writer();
    const closed = !concert.closed;
    const isDone = await ask({
      title: closed ? t("closeSale") : t("openSale"), text: closed ? t("closeSaleText") : t("openSaleText"), submit: closed ? t("closeSale") : t("openSale"),
      kind: closed ? "danger" : "primary", onSubmit: () => write("PATCH", path, { closed }),
    });
    if (isDone) await done();
  };
  const changeQueue = async () => {
    const write = writer();
    const editor = queueFields(queue, queue.waiting);
    const isDone = await ask({
      title: t("editQueue"), text: t("queueText"), submit: t("save"), extra: [editor],
      onSubmit: async ({ queue: settings }) => {
        const patch = changed(queue, settings);
        if (Object.keys(patch).length) await write("PATCH", `${path}/queue`, patch);
      },
    });
    if (isDone) await done();
  };
  const addPerformance = async () => {
    const made = await askPerformance(path);
    if (made) await done(t("performanceAdded", { at: moment(made.startsAt) }));
  };

  await load();
  const side = mayRun && actions(button(t("addPerformance"), addPerformance, "primary"), button(t("extendHolds"), () => extendHolds(path, t("extendAllText")).then((isDone) => isDone && load())), button(t("editBasics"), changeBasics));
  page.show([head, state, side, h("div", { class: "columns" }, card(t("saleHours"), sale), card(t("waitingRoom"), line), card(t("early"), early), card(t("notice"), notice)), card(t("performances"), performances), presale && card(t("codes"), presale.element)], load, REFRESH);
}

const figuresOf = ({ room, totals }) => figures([
  [t("waiting"), room.waiting], [t("active"), room.active], [t("admittedTotal"), room.admittedTotal],
  [t("sold"), totals.sold], [t("held"), totals.held], [t("available"), totals.available], [t("blocked"), totals.blocked],
  [t("revenue"), points(totals.revenue), "money"], [t("refunded"), points(totals.refunded), "money"],
]);

function noticeWords(notice) {
  if (!notice) return h("p", { class: "hint" }, t("noNotice"));
  return h("dl", { class: "pairs" }, [["ko", t("korean")], ["en", t("english")]].filter(([tag]) => notice[tag]).map(([tag, name]) => [h("dt", {}, name), h("dd", { lang: tag }, notice[tag])]));
}

export const statusBadge = ({ status, closed }) => {
  if (status === "CANCELLED") return badge(t("status.cancelled"), "bad");
  return closed || status === "CLOSED" ? badge(t("status.closed"), "warm") : badge(t("status.open"), "good");
};

const performancesTable = (rows) => table({
  caption: t("performances"), rows, empty: t("noPerformances"),
  columns: [
    { name: t("startsAt"), cell: ({ performanceId, startsAt }) => viewLink(`performances/${performanceId}`, moment(startsAt)) },
    { name: t("state"), cell: statusBadge },
    { name: t("soldOf"), kind: "amount", cell: (row) => [h("span", {}, `${number(row.sold)} / ${number(row.capacity)}`), filled(row)] },
    { name: t("held"), kind: "amount", cell: ({ held }) => number(held) },
    { name: t("available"), kind: "amount", cell: ({ status, available }) => (status === "CANCELLED" ? "–" : number(available)) },
    { name: t("blocked"), kind: "amount", cell: ({ blocked }) => number(blocked) },
    { name: t("revenue"), kind: "amount", cell: ({ revenue }) => points(revenue) },
  ],
});

/** A dialog for a new performance of the concert at `path`. Returns it, or null. */
async function askPerformance(path) {
  const write = writer();
  let made = null;
  await ask({
    title: t("addPerformance"), submit: t("create"), text: t("addPerformanceText"),
    fields: [field({ name: "startsAt", label: t("startsAt"), kind: "moment", required: true }), field({ name: "closed", label: t("createClosed"), kind: "check", hint: t("createClosed.hint") })],
    extra: [sectionsEditor(), policyEditor([{ hoursBefore: 240, feePercent: 0 }, { hoursBefore: 72, feePercent: 20 }, { hoursBefore: 24, feePercent: 30 }])],
    onSubmit: async (values) => {
      made = await write("POST", `${path}/performances`, values);
    },
  });
  return made;
}

/** A dialog that extends all live holds below `path`. Returns whether it was done. */
export async function extendHolds(path, text) {
  const write = writer();
  let answer = null;
  const isDone = await ask({
    title: t("extendHolds"), text, submit: t("extend"),
    fields: [
      field({ name: "minutes", label: t("extendMinutes"), kind: "number", min: 1, max: 1_440, required: true, value: 10 }),
      field({ name: "reason", label: t("reason"), required: true, wide: true, hint: t("reason.hint") }),
    ],
    onSubmit: async ({ minutes, reason }) => {
      answer = await write("POST", `${path}/holds/extend`, { seconds: minutes * 60, reason });
    },
  });
  if (isDone) notify(t("extended", { n: answer.holds, minutes: Math.round(answer.seconds / 60) }));
  return isDone;
}
