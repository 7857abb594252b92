// One performance: figures, start, prices, refund rules, seats, holds, refunds, and its cancellation.

import { fill, h } from "./dom.js";
import { get, list, writer } from "./office-api.js";
import { cancellationView } from "./office-cancel.js";
import { extendHolds, statusBadge } from "./office-concert.js";
import { ask } from "./office-dialogs.js";
import { changed, field } from "./office-forms.js";
import { currentLanguage, moment, number, points, t } from "./office-language.js";
import { actions, button, card, figures, growing, linkButton, notify, table } from "./office-parts.js";
import { policyEditor, policyWords, pricesEditor, sectionsEditor } from "./office-sections.js";
import { session } from "./office-session.js";

const REFRESH = 2_000;

export async function show(page, performanceId) {
  const path = `/admin/performances/${performanceId}`;
  const mayRun = session.may("run");
  let performance = await get(path);
  const concert = await get(`/admin/concerts/${performance.concertId}`);
  const [head, state, start, prices, policy, seats] = Array.from({ length: 6 }, () => h("div"));
  const cancellation = cancellationView(path, { title: concert.title, performance: () => performance, onDone: () => load() });
  const refunds = refundsList(path);
  let drawn = "";
  const place = (part, words) => linkButton(`#/performances/${performanceId}/${part}`, words);

  const draw = () => {
    fill(state, figuresOf(performance));
    const { sold, held, available, revenue, refunded, ...settled } = performance;
    const text = JSON.stringify([settled, currentLanguage()]);
    if (text === drawn) return;
    drawn = text;
    const may = mayRun && performance.status !== "CANCELLED";
    fill(head, page.head(`${concert.title}, ${moment(performance.startsAt)}`, { back: [`#/concerts/${concert.concertId}`, concert.title], side: statusBadge(performance) }),
      actions(place("seats", t("hallMap")), place("attendees", t("menu.attendees"))));
    fill(start, h("p", {}, moment(performance.startsAt)), may && actions(button(t("editStart"), changeStart), button(performance.closed ? t("openPerformance") : t("closePerformance"), toggleClosed)));
    fill(prices, pricesTable(gradesOf(performance.seats)), may && actions(button(t("editPrices"), changePrices)));
    fill(policy, policyWords(performance.refundPolicy), may && actions(button(t("editPolicy"), changePolicy)));
    fill(seats, h("p", {}, t("seatsWords", { n: performance.capacity })), may && actions(button(t("addSeats"), addSeats), button(t("extendHolds"), () => extendHolds(path, t("extendText")).then((isDone) => isDone && load()))));
  };
  const load = async () => {
    const before = performance;
    performance = await get(path);
    draw();
    await cancellation.load();
    if (performance.sold < before.sold || performance.refunded !== before.refunded) await refunds.load();
  };
  const edit = async (title, { fields = [], extra = [], text, read = (values) => values, send = (write, patch) => write("PATCH", path, patch) }) => {
    const write = writer();
    const isDone = await ask({
      title, text, fields, extra, submit: t("save"),
      onSubmit: async (values) => {
        const patch = changed(performance, read(values));
        if (Object.keys(patch).length) await send(write, patch);
      },
    });
    if (!isDone) return;
    notify(t("saved"));
    await load();
  };
  const changeStart = () => edit(t("editStart"), { text: t("startText"), fields: [field({ name: "startsAt", label: t("startsAt"), kind: "moment", required: true, value: performance.startsAt })] });
  const toggleClosed = async () => {
    const write = writer();
    const closed = !performance.closed;
    const words = closed ? "closePerformance" : "openPerformance";
    const isDone = await ask({ title: t(words), text: t(`${words}Text`), submit: t(words), kind: closed ? "danger" : "primary", onSubmit: () => write("PATCH", path, { closed }) });
    if (!isDone) return;
    notify(t("saved"));
    await load();
  };
  const changePrices = () => edit(t("editPrices"), {
    text: t("pricesText"), extra: [pricesEditor(gradesOf(performance.seats))],
    read: (values) => (values.prices.length ? { prices: values.prices } : {}),
  });
  const changePolicy = () => edit(t("editPolicy"), { text: t("policyText"), extra: [policyEditor(performance.refundPolicy)] });
  const addSeats = () => edit(t("addSeats"), {
    text: t("addSeatsText"), extra: [sectionsEditor({ rows: [nextSection(performance.seats)] })],
    send: (write, { seats: sections }) => write("POST", `${path}/seats`, { seats: sections }),
  });

  draw();
  page.show([head, state, cancellation.element,
    h("div", { class: "columns" }, card(t("start"), start), card(t("prices"), prices), card(t("refundRules"), policy), card(t("seats"), seats)),
    card(t("refunds"), refunds.element), cancellation.offer], load, REFRESH);
  await Promise.all([cancellation.load(), refunds.load()]);
}

/** The grades of these sections: `{grade, price, prices, seats}`, dear ones first. `prices` are all prices of a grade. */
export function gradesOf(sections) {
  const grades = new Map();
  for (const { from, to, grade, price } of sections) {
    const known = grades.get(grade) ?? { grade, price, prices: [], seats: 0 };
    known.seats += to - from + 1;
    if (!known.prices.includes(price)) known.prices.push(price);
    grades.set(grade, known);
  }
  return [...grades.values()].sort((one, other) => other.price - one.price);
}

/** A section behind the last one, of its grade and price. */
function nextSection(sections) {
  const last = sections.at(-1) ?? { to: 0, grade: "R", price: 50_000 };
  return { from: last.to + 1, to: last.to + 10, grade: last.grade, price: last.price };
}

/** The seats of a cancelled performance are free, but not for sale. */
const figuresOf = (row) => figures([
  [t("sold"), row.sold], [t("held"), row.held], row.status !== "CANCELLED" && [t("available"), row.available], [t("blocked"), row.blocked],
  [t("revenue"), points(row.revenue), "money"], [t("refunded"), points(row.refunded), "money"],
]);

const pricesTable = (rows) => table({
  caption: t("prices"), rows,
  columns: [
    { name: t("grade"), cell: ({ grade }) => grade },
    { name: t("seats"), kind: "amount", cell: ({ seats }) => number(seats) },
    { name: t("price"), kind: "amount", cell: ({ price, prices }) => (prices.length > 1 ? prices.map(points).join(", ") : points(price)) },
  ],
});

const refundsList = (path) => growing({
  size: 20, first: () => list(`${path}/refunds?limit=20`),
  show: (rows) => table({
    caption: t("refunds"), rows, empty: t("noRefunds"),
    columns: [
      { name: t("refundedAt"), cell: ({ refundedAt }) => moment(refundedAt) },
      { name: t("user"), cell: ({ userId }) => h("a", { href: `#/users/${userId}` }, userId) },
      { name: t("seats"), cell: ({ seats }) => seats.join(", ") },
      { name: t("amount"), kind: "amount", cell: ({ amount }) => points(amount) },
      { name: t("fee"), kind: "amount", cell: ({ fee }) => points(fee) },
      { name: t("by"), cell: ({ by, reason }) => [t(`by.${by}`), reason && h("span", { class: "hint block" }, reason)] },
    ],
  }),
});
