// One concert from the door to the ticket: outside, in line, inside, and what comes after.

import { account, busily, notice, whoForm } from "./account.js";
import * as api from "./api.js";
import { crowdCard } from "./crowd.js";
import { day, fill, h } from "./dom.js";
import { hallView } from "./hall.js";
import { lineView } from "./line.js";
import { Payments } from "./payment.js";
import { poster } from "./poster.js";
import { clock, session } from "./session.js";
import { ticketView } from "./ticket.js";

const STEPS = ["In line", "Seats", "Payment", "Ticket"];

export async function journeyView(concert, index, signal) {
  const journey = new Journey(concert, signal);
  await journey.resume();
  const { title, venue, firstDate, lastDate } = concert;
  const dates = firstDate ? (firstDate === lastDate ? day(firstDate) : `${day(firstDate)} – ${day(lastDate)}`) : "no dates yet";
  return [
    h("header", { class: "banner" },
      poster(concert, index, { wide: true }),
      h("div", { class: "caption" }, h("h1", {}, title), h("p", {}, `${venue} · ${dates}`))),
    journey.steps,
    journey.stage,
  ];
}

class Journey {
  steps = h("ol", { class: "steps", "aria-label": "Steps" });
  stage = h("div", { class: "stage-area" });
  #scene = new AbortController();
  #crowd;

  constructor(concert, signal) {
    this.concert = concert;
    this.user = account.user;
    this.signal = signal;
    this.payments = new Payments(concert.concertId, account.user);
    signal.addEventListener("abort", () => this.#scene.abort());
  }

  #remember(name, value) {
    session.set(`${name}:${this.concert.concertId}:${this.user}`, value);
  }

  #recall(name) {
    return session.get(`${name}:${this.concert.concertId}:${this.user}`);
  }

  /** Where this visitor left off, in this tab. */
  async resume() {
    const ticket = this.user && this.#recall("ticket");
    if (ticket) return this.showTicket(ticket);
    if (this.payments.undecided().length) {
      // Not waited for: it lasts until the server answers.
      this.showSettling();
      return;
    }
    const token = this.user && this.#recall("token");
    if (!token) return this.showOutside();
    try {
      const { body: place } = await api.getQueuePlace(token);
      if (place.status === "EXPIRED") this.showOutside();
      else this.showPlace(place);
    } catch (problem) {
      if (!(problem instanceof api.Problem) || problem.isPassing) throw problem;
      this.showOutside();
    }
  }

  /** Ends what ran on the stage, and gives the next scene its own signal. */
  #open(step, title) {
    this.#scene.abort();
    this.#scene = new AbortController();
    if (this.signal.aborted) this.#scene.abort();
    document.title = `${title} · onsale`;
    this.setStep(step);
    return this.#scene.signal;
  }

  setStep(step) {
    fill(this.steps, STEPS.map((name, index) =>
      h("li", { "aria-current": index === step && "step", class: index < step ? "done" : "" }, name)));
  }

  #crowdCard() {
    this.#crowd ??= crowdCard(this.concert, this.signal);
    return this.#crowd;
  }

  showOutside(words) {
    this.#open(0, this.concert.title);
    account.token = null;
    this.#remember("token", null);
    const enter = (event) => busily(event.currentTarget, () => this.enter());
    const door = this.user
      ? [
          h("h2", {}, words ? "Once more?" : "The doors are open"),
          h("p", {}, words ?? "Everyone takes a place in one line and is called in the order of arrival. Keep this page open: it is your sign of life."),
          h("button", { type: "button", class: "primary large", on: { click: enter } }, "Enter the waiting room"),
        ]
      : [h("h2", {}, "Who is coming?"), whoForm()];
    fill(this.stage, h("section", { class: "card door" }, door), h("aside", {}, this.#crowdCard()));
  }

  async enter() {
    const { body: place } = await api.persist(() => api.enterQueue(this.user, this.concert.concertId));
    this.#remember("ticket", null);
    this.#remember("token", place.token);
    if (this.signal.aborted) return;
    this.showPlace(place);
  }

  showPlace(place) {
    clock.learn(place.asOf);
    if (place.status === "WAITING") this.showLine(place);
    else if (place.status === "ACTIVE") this.showHall(place);
    else this.showOutside("This place has ended. Who enters again starts at the end of the line.");
  }

  showLine(place) {
    const signal = this.#open(0, "In line");
    const line = lineView(place, signal, {
      onPlace: (next) => this.showPlace(next),
      onLeave: () => this.showOutside("You gave your place up."),
      onLost: (problem) => this.showOutside(problem.words),
    });
    fill(this.stage, line, h("aside", {}, this.#crowdCard()));
  }

  showHall(place) {
    const signal = this.#open(1, "Your turn");
    account.token = place.token;
    const hall = hallView(this.concert, place, signal, {
      payments: this.payments,
      onStep: (step) => this.setStep(step),
      // A payment ends the turn: before its answer arrived, if that was lost.
      onOver: (words) => (this.payments.undecided().length ? this.showSettling() : this.showOutside(words)),
      onTicket: (ticket) => this.#take(ticket),
      onUndecided: () => this.showSettling(),
    });
    fill(this.stage, hall.map, h("aside", {}, hall.desk, this.#crowdCard()));
    hall.start();
  }

  /** A payment was sent and has no answer: finds out what became of it. */
  async showSettling() {
    const signal = this.#open(2, "Payment");
    const said = h("p", { role: "status", "aria-live": "polite" }, "Asking the server what became of it…");
    fill(this.stage, h("section", { class: "card door" },
      h("h2", {}, "Your payment has no answer yet"), said,
      h("p", { class: "hint" }, "The same payment is sent again under the same key until it is decided. Nothing is paid twice.")));
    const [payment] = this.payments.undecided();
    for (let attempt = 1; ; attempt++) {
      try {
        const ticket = await this.payments.settle(payment);
        if (signal.aborted) return;
        if (ticket) return this.#take(ticket);
        notice("That payment was not made: no points were taken.");
        return this.resume();
      } catch (problem) {
        if (!(problem instanceof api.Problem)) throw problem;
        if (signal.aborted) return;
        fill(said, `${problem.words} Asking again (${attempt}).`);
        await api.pause((problem.retryAfter ?? 1) * 1000);
        if (signal.aborted) return;
      }
    }
  }

  #take(ticket) {
    this.#remember("ticket", ticket);
    this.showTicket(ticket);
  }

  showTicket(ticket) {
    this.#open(3, "Your ticket");
    account.token = null;
    account.refresh();
    fill(this.stage, ticketView(this.concert, ticket, { onAgain: () => this.goOn() }));
    this.stage.querySelector("h2")?.focus();
  }

  /** A token lives on where its user still holds other seats; else the door. */
  async goOn() {
    this.#remember("ticket", null);
    await this.resume();
  }
}
