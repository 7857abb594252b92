// Payments under way. Each keeps its key, over reloads too, until an answer decides it: whatever is lost on the way, it is
// paid once, and the page finds out what became of it.

import * as api from "./api.js";
import { randomKey, session } from "./session.js";

/** The undecided payments of a user for seats of a concert. */
export class Payments {
  #name;

  constructor(concertId, user) {
    this.user = user;
    this.#name = `paying:${concertId}:${user}`;
  }

  /** Those without an answer, oldest first: `{reservationId, key, token, date, startsAt}`. */
  undecided() {
    return session.get(this.#name) ?? [];
  }

  /** Pays for a reservation; the ticket. A payment that has no answer yet is sent again under its key. */
  async pay({ reservationId, date }, { token, startsAt }, onRetry) {
    let payment = this.undecided().find((known) => known.reservationId === reservationId);
    if (!payment) {
      payment = { reservationId, key: randomKey(), token, date, startsAt };
      session.set(this.#name, [...this.undecided(), payment]);
    }
    try {
      const ticket = await this.#send(payment, onRetry);
      this.#forget(payment);
      return ticket;
    } catch (problem) {
      // A refusal is decided and kept under its key: another attempt is another request.
      if (problem instanceof api.Problem && !problem.isPassing) this.#forget(payment);
      throw problem;
    }
  }

  /** What became of a payment without an answer: the ticket, or null if nothing was paid. Fails while that is open. */
  async settle(payment, onRetry) {
    let ticket;
    try {
      ticket = await this.#send(payment, onRetry);
    } catch (problem) {
      if (!(problem instanceof api.Problem) || problem.isPassing) throw problem;
      ticket = await this.paidOtherwise(payment);
    }
    this.#forget(payment);
    return ticket;
  }

  async #send(payment, onRetry) {
    const { body } = await api.persist(() => api.createPayment(payment.reservationId, payment), onRetry);
    return { ...payment, ...body };
  }

  /** The ticket of a reservation that another tab paid for, under a key of its own; null if it is not paid. */
  async paidOtherwise(payment) {
    const { body: reservation } = await api.getReservation(payment.reservationId);
    if (reservation.status !== "PAID") return null;
    const isSame = ({ reservationId }) => reservationId === payment.reservationId;
    const paid = await api.find(api.listUserPayments(this.user), isSame);
    return paid && { ...payment, ...paid, key: null };
  }

  #forget({ reservationId }) {
    const left = this.undecided().filter((known) => known.reservationId !== reservationId);
    session.set(this.#name, left.length ? left : null);
  }
}
