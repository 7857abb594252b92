// Payments. Seats are paid for once, even if answers are lost, and the page finds the outcome of each payment.

import * as api from "./api.js";
import { kept } from "./session.js";
import { pending } from "./writes.js";

const ticketOf = ({ wish: { about, token }, key }, payment) => ({ ...about, token, key, ...payment });

/** The payments of a user for seats of a concert. */
export class Payments {
  constructor(concertId, user) {
    this.concertId = concertId;
    this.user = user;
  }

  /** Those without an answer, also if this tab or another waits for it, oldest first. */
  undecided() {
    return this.user ? pending(this.user, `pay:${this.concertId}:`) : [];
  }

  /** Pays for a reservation; the ticket. A payment that has no answer yet is sent again under its key. */
  async pay(reservation, { token, startsAt }, onRetry) {
    const { reservationId, date } = reservation;
    const about = { reservationId, date, startsAt };
    const answer = await api.createPayment(this.user, this.concertId, reservation, { token, about }, onRetry);
    return ticketOf(answer, answer.body);
  }

  /**
   * What became of a payment without an answer: `{ticket, isKnown}`. The ticket is null if nothing is paid; without `isKnown`
   * an attempt may still be under way. Fails while the server does not decide.
   */
  async settle(payment) {
    const { outcome, answer } = await api.settle(payment, { isQuiet: true });
    const ticket = answer ? ticketOf(answer, answer.body) : await this.paidOtherwise(payment.wish.about);
    return { ticket, isKnown: Boolean(ticket) || outcome !== "gone" };
  }

  /** Notes the performances of the concert: payments name only their reservations, and those only their performances. */
  know(performances) {
    const known = this.#performances();
    for (const { performanceId, startsAt } of performances) known[performanceId] = startsAt;
    kept.set(`performances:${this.concertId}`, known);
  }

  #performances() {
    return kept.get(`performances:${this.concertId}`) ?? {};
  }

  /**
   * The ticket of the last payment for this concert at or after an instant, whichever tab paid; null if there is none, or none
   * after the payment `seen`.
   */
  async paidSince(instant, seen) {
    const known = this.#performances();
    const { body: payments } = await api.listUserPayments(this.user);
    for (const payment of payments) {
      if (payment.paymentId === seen || Date.parse(payment.paidAt) < Date.parse(instant)) return null;
      const { body: { performanceId, reservationId, date } } = await api.getReservation(payment.reservationId);
      const startsAt = known[performanceId];
      if (startsAt) return { reservationId, date, startsAt, ...payment, key: null };
    }
    return null;
  }

  /** The ticket of a reservation that another tab paid for, under a key of its own; null if it was not paid. Seats that were given
   * back since were paid too. */
  async paidOtherwise(about) {
    const { body: reservation } = await api.getReservation(about.reservationId);
    if (!["PAID", "REFUNDED"].includes(reservation.status)) return null;
    const isSame = ({ reservationId }) => reservationId === about.reservationId;
    const paid = await api.find(api.listUserPayments(this.user), isSame);
    return paid && { ...about, ...paid, key: null };
  }
}
