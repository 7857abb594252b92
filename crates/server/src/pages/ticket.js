// The ticket, and a button which shows that a repeated payment charges nothing.

import { busily } from "./account.js";
import { points } from "./amounts.js";
import * as api from "./api.js";
import { fill, h } from "./dom.js";
import { t } from "./language.js";
import { at } from "./place.js";
import { bars } from "./poster.js";
import { day, moment, time, yours } from "./time.js";

/** The QR code of each ticket with the page to keep. It fills itself; without an answer it offers another attempt. */
function codes(paymentId) {
  const area = h("div", { class: "codes", "aria-busy": "true" }, h("p", { class: "hint" }, "Loading your tickets…"));
  const load = async () => {
    try {
      const { body } = await api.persist(() => api.listPaymentTickets(paymentId));
      fill(area, body.filter(({ status }) => status !== "VOID").map((ticket) => code(paymentId, ticket)));
    } catch (problem) {
      if (!(problem instanceof api.Problem)) throw problem;
      fill(area, h("p", { class: "message bad", role: "alert" }, problem.words, " ",
        h("button", { type: "button", on: { click: (event) => busily(event.currentTarget, load) } }, "Try again")));
    } finally {
      area.removeAttribute("aria-busy");
    }
  };
  load();
  return area;
}

function code(paymentId, { ticketId, seat }) {
  const path = `/payments/${paymentId}/tickets/${ticketId}`;
  return h("figure", {},
    h("img", { src: at(`${path}/code.svg`), alt: `QR code of the ticket for seat ${seat}`, width: 170, height: 170 }),
    h("figcaption", {}, h("strong", {}, `Seat ${seat}`), " ", h("a", { href: at(`${path}/print.pdf`), download: `ticket-seat-${seat}.pdf` }, "PDF to keep")));
}

export function ticketView(concert, ticket, { onAgain }) {
  const { paymentId, reservationId, amount, seats, paidAt, date, startsAt, key, token } = ticket;
  const said = h("p", { class: "hint", role: "status", "aria-live": "polite" });
  const repeatPayment = (event) => busily(event.currentTarget, async () => {
    const { status, body, isReplayed } = await api.repeatPayment(reservationId, { token, key });
    const isSame = body.paymentId === paymentId;
    fill(said, isReplayed && isSame
      ? t("sameAnswer", { status: String(status) })
      : t("otherAnswer", { status: String(status), id: body.paymentId }));
  });
  const field = (name, value) => h("div", {}, h("dt", {}, name), h("dd", {}, value));
  return h("section", { class: "ticket-area" },
    h("h2", { tabindex: "-1" }, t("enjoy")),
    h("div", { class: "paper" }, h("article", { class: "ticket", "aria-label": t("ticket") },
      h("div", { class: "main" },
        h("p", { class: "hint" }, concert.venue),
        h("h3", {}, concert.title),
        h("dl", {},
          field(t("date"), date ? day(date) : "–"),
          field(t("begins"), startsAt ? [time(startsAt), yours(startsAt) && h("span", { class: "hint" }, ` (${yours(startsAt)})`)] : "–"),
          field(t(seats.length === 1 ? "seatOne" : "seatMany"), [...seats].sort((one, other) => one - other).join(", ")),
          field(t("paid"), points(amount)))),
      h("div", { class: "stub" }, bars(paymentId), h("code", {}, paymentId), h("span", { class: "hint" }, moment(paidAt))))),
    h("h3", {}, seats.length === 1 ? "To show at the door" : "To show at the door, one for each seat"),
    codes(paymentId),
    h("div", { class: "row" },
      h("button", { type: "button", class: "primary", on: { click: (event) => busily(event.currentTarget, onAgain) } }, t("bookMore")),
      key && h("button", { type: "button", on: { click: repeatPayment } }, t("sameAgain"))),
    said);
}
