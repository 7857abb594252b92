// Everything of one user: points, places in line, reservations, payments with their refunds, applications.

import { h } from "./dom.js";
import { find, get, writer } from "./office-api.js";
import { ask } from "./office-dialogs.js";
import { field } from "./office-forms.js";
import { day, moment, number, points, t } from "./office-language.js";
import { actions, badge, button, card, figures, notify, redraw, table, viewLink } from "./office-parts.js";
import { session } from "./office-session.js";

const ADJUSTMENT_MAX = 1_000_000_000;

export async function show(page, userId) {
  const [top, places, body] = [h("div"), h("div"), h("div", { class: "stack" })];
  const titles = new Map();
  const load = async () => {
    const user = await userOf(userId, titles);
    redraw(top, user.balance, () => balanceLine(user.balance, adjust));
    redraw(places, user.places, () => card(t("places"), placesTable(user.places)));
    redraw(body, { ...user, places: null }, () => parts(user, refund));
  };
  const refund = async (payment) => {
    if (await askRefund(payment)) await load();
  };
  const adjust = async () => {
    if (await askAdjustment(userId)) await load();
  };
  await load();
  page.show([page.head(t("userTitle", { user: userId }), { back: ["#/users", t("menu.users")] }), top, places, body], load, 5_000);
}

/**
 * What the server shows of a user: the newest 50 of each. Payments and refunds get the performance of their reservation,
 * places the title of their concert. `titles` keeps titles by concert id.
 */
async function userOf(userId, titles) {
  const { wallet, walletEntries, reservations, payments, refunds, applications, places } = await get(`/admin/users/${encodeURIComponent(userId)}`);
  for (const { concertId } of places) {
    if (!titles.has(concertId)) titles.set(concertId, (await find(`/admin/concerts/${concertId}`))?.title ?? concertId);
  }
  const dates = new Map(reservations.map(({ reservationId, performanceId, date }) => [reservationId, { performanceId, date }]));
  const dated = (row) => ({ ...row, ...dates.get(row.reservationId) });
  return {
    balance: wallet.balance, walletEntries, reservations, payments: payments.map(dated), refunds: refunds.map(dated), applications,
    places: places.map((place) => ({ ...place, title: titles.get(place.concertId) })),
  };
}

const balanceLine = (balance, adjust) => h("div", { class: "spread top-line" }, figures([[t("balance"), points(balance), "money"]]), session.may("adjust") && actions(button(t("adjust"), adjust)));

const parts = (user, refund) => [
  card(t("payments"), paymentsTable(user.payments, refund)),
  card(t("refunds"), refundsTable(user.refunds)),
  card(t("reservations"), reservationsTable(user.reservations, t("reservations"))),
  card(t("applications"), applicationsTable(user.applications)),
  card(t("walletEntries"), entriesTable(user.walletEntries)),
  h("p", { class: "hint" }, t("newest50")),
];

const placesTable = (rows) => table({
  caption: t("places"), rows, empty: t("noPlaces"),
  columns: [
    { name: t("concert"), cell: ({ concertId, title }) => viewLink(`concerts/${concertId}`, title) },
    { name: t("state"), cell: ({ status }) => badge(t(`place.${status}`), { ACTIVE: "good", EARLY: "warm", WAITING: "warm" }[status]) },
    { name: t("position"), kind: "amount", cell: ({ position }) => number(position) },
  ],
});

/** A payment that is older than the shown reservations has no link, and a refund no date. */
const performanceLink = ({ performanceId, date }) => (performanceId ? viewLink(`performances/${performanceId}`, date ? day(date) : t("performance")) : "–");

const reservationsTable = (rows, caption) => table({
  caption, rows,
  columns: [
    { name: t("performance"), cell: performanceLink },
    { name: t("seats"), cell: ({ seats }) => seats.join(", ") },
    { name: t("state"), cell: ({ status }) => badge(t(`reservation.${status}`)) },
    { name: t("amount"), kind: "amount", cell: ({ amount }) => points(amount) },
    { name: t("heldUntil"), cell: ({ heldUntil }) => moment(heldUntil) },
  ],
});

/** The seats of a payment that were not refunded. */
export const seatsLeft = ({ seats, refundedSeats = [] }) => seats.filter((seat) => !refundedSeats.includes(seat));

const paymentsTable = (rows, refund) => table({
  caption: t("payments"), rows, empty: t("noPayments"),
  columns: [
    { name: t("performance"), cell: performanceLink },
    { name: t("seats"), cell: ({ seats, refundedSeats = [] }) => h("span", {}, seats.map((seat, index) => [index > 0 && ", ", refundedSeats.includes(seat) ? h("s", { title: t("refunded") }, String(seat)) : String(seat)])) },
    { name: t("amount"), kind: "amount", cell: ({ amount }) => points(amount) },
    { name: t("refunded"), kind: "amount", cell: ({ refundedAmount }) => points(refundedAmount ?? 0) },
    { name: t("paidAt"), cell: ({ paidAt }) => moment(paidAt) },
    session.may("refund") && { name: "", kind: "do", cell: (payment) => seatsLeft(payment).length > 0 && button(t("refundSeats"), () => refund(payment), "small") },
  ].filter(Boolean),
});

const refundsTable = (rows) => table({
  caption: t("refunds"), rows, empty: t("noRefunds"),
  columns: [
    { name: t("performance"), cell: performanceLink },
    { name: t("seats"), cell: ({ seats }) => seats.join(", ") },
    { name: t("amount"), kind: "amount", cell: ({ amount }) => points(amount) },
    { name: t("fee"), kind: "amount", cell: ({ fee }) => points(fee) },
    { name: t("by"), cell: ({ by, reason }) => [t(`by.${by}`), reason && h("span", { class: "hint block" }, reason)] },
    { name: t("refundedAt"), cell: ({ refundedAt }) => moment(refundedAt) },
  ],
});

const applicationsTable = (rows) => table({
  caption: t("applications"), rows,
  columns: [
    { name: t("lecture"), cell: ({ lectureId, title }) => viewLink(`lectures/${lectureId}`, title) },
    { name: t("startsAt"), cell: ({ startsAt }) => moment(startsAt) },
    { name: t("appliedAt"), cell: ({ appliedAt }) => moment(appliedAt) },
  ],
});

const entriesTable = (rows) => table({
  caption: t("walletEntries"), rows,
  columns: [
    { name: t("at"), cell: ({ createdAt }) => moment(createdAt) },
    { name: t("kind"), cell: ({ type }) => t(`entry.${type}`) },
    { name: t("amount"), kind: "amount", cell: ({ type, amount }) => points(type === "USE" ? -amount : amount) },
    { name: t("balanceAfter"), kind: "amount", cell: ({ balanceAfter }) => points(balanceAfter) },
  ],
});

/** A dialog that refunds seats of a payment. Returns whether it was done. */
async function askRefund(payment) {
  const write = writer();
  let answer = null;
  const boxes = seatsLeft(payment).map((seat) => field({ name: `seat-${seat}`, label: t("seatName", { n: String(seat) }), kind: "check", value: true }));
  const seats = {
    name: "seats",
    element: h("fieldset", { class: "editor" }, h("legend", {}, t("seatsToRefund")), h("div", { class: "checks" }, boxes.map(({ element }) => element))),
    read: () => boxes.filter((box) => box.read()).map(({ name }) => Number(name.slice("seat-".length))),
    check: () => {
      const isFit = boxes.some((box) => box.read());
      boxes[0].show(isFit ? null : t("wrong.noSeat"));
      return isFit;
    },
    show: (words) => boxes[0].show(words),
  };
  const isDone = await ask({
    title: t("refundSeats"), text: t("refundText"), submit: t("refund"), extra: [seats],
    fields: [field({ name: "fee", label: t("fee"), kind: "number", min: 0, max: payment.amount, value: 0, required: true, hint: t("fee.hint") }), field({ name: "reason", label: t("reason"), required: true, wide: true, hint: t("reason.hint") })],
    onSubmit: async ({ fee, reason, seats: chosen }) => {
      answer = await write("POST", `/admin/payments/${payment.paymentId}/refunds`, { seats: chosen, fee, reason });
    },
  });
  if (isDone) notify(t("refundDone", { amount: points(answer.amount), n: answer.seats.length }));
  return isDone;
}

async function askAdjustment(userId) {
  const write = writer();
  let answer = null;
  const isDone = await ask({
    title: t("adjust"), text: t("adjustText", { user: userId }), submit: t("adjust"),
    fields: [field({ name: "amount", label: t("adjustAmount"), kind: "number", min: -ADJUSTMENT_MAX, max: ADJUSTMENT_MAX, required: true, hint: t("adjustAmount.hint") }), field({ name: "reason", label: t("reason"), required: true, wide: true, hint: t("reason.hint") })],
    onSubmit: async (values) => {
      answer = await write("POST", `/admin/point/${encodeURIComponent(userId)}/adjustments`, values);
    },
  });
  if (isDone) notify(t("adjustDone", { balance: points(answer.balance) }));
  return isDone;
}
