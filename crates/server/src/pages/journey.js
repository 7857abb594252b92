// One concert from entry to ticket: before the line, in line, in the hall, and after the payment.

import { account, busily, notice, whoForm } from "./account.js";
import { announcement } from "./announcement.js";
import * as api from "./api.js";
import { codeForm, codeOf, isAboutCode } from "./code.js";
import { Connection } from "./connection.js";
import { crowdCard } from "./crowd.js";
import { fill, h } from "./dom.js";
import { Feed } from "./feed.js";
import { givingUp } from "./giving-up.js";
import { hallView } from "./hall.js";
import { lineView } from "./line.js";
import { Payments } from "./payment.js";
import { poster } from "./poster.js";
import { clock, session } from "./session.js";
import { SIGNS_IN } from "./sign-in.js";
import { tabs } from "./tabs.js";
import { ticketView } from "./ticket.js";
import { datesOf } from "./time.js";

const ENDED = "Your place has ended. If you enter again, you start at the end of the line.";

const STEPS = ["In line", "Seats", "Payment", "Ticket"];

export async function journeyView(concert, index, signal) {
  const journey = new Journey(concert, signal);
  await journey.resume();
  const { title, venue } = concert;
  return [
    h("header", { class: "banner" },
      poster(concert, index, { wide: true }),
      h("div", { class: "caption" }, h("h1", {}, title), h("p", {}, `${venue} · ${datesOf(concert)}`)),
      concert.soldOut && h("span", { class: "sold-out" }, "Sold out")),
    journey.steps,
    journey.connection.element,
    journey.stage,
  ];
}

class Journey {
  steps = h("ol", { class: "steps", "aria-label": "Steps" });
  stage = h("div", { class: "stage-area" });
  connection = new Connection();
  #scene = new AbortController();
  #crowd;
  /** The feed of the place, and the view that shows it: the line or the hall. */
  #feed = null;
  #shown = null;

  constructor(concert, signal) {
    this.concert = concert;
    this.user = account.user;
    this.signal = signal;
    this.payments = new Payments(concert.concertId, account.user);
    signal.addEventListener("abort", () => {
      this.#scene.abort();
      this.#unfollow();
    });
    // What this visitor did in another tab may have ended the place.
    tabs.addEventListener("done", ({ detail }) => {
      if (detail.user === this.user) this.#feed?.refresh();
    }, { signal });
  }

  #remember(name, value) {
    session.set(`${name}:${this.concert.concertId}:${this.user}`, value);
  }

  #recall(name) {
    return session.get(`${name}:${this.concert.concertId}:${this.user}`);
  }

  /** Continues from the last step of this visitor in this tab. */
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
      if (place.status === "EXPIRED") await this.#finish(place);
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
    this.#shown = null;
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
    // A crowd is made of users without a session.
    if (SIGNS_IN) return null;
    this.#crowd ??= crowdCard(this.concert, this.signal);
    return this.#crowd;
  }

  showOutside(words) {
    this.#open(0, this.concert.title);
    this.#unfollow();
    account.token = null;
    this.#remember("token", null);
    const enter = (event) => busily(event.currentTarget, () => this.enter());
    const door = this.user
      ? [
          h("h2", {}, words ? "Once more?" : "The doors are open"),
          h("p", {}, words ?? "All visitors take a place in one line and are called in the order of arrival. Keep this page open: it is your sign of life."),
          h("button", { type: "button", class: "primary large", on: { click: enter } }, "Enter the waiting room"),
        ]
      : [h("h2", {}, "Who is coming?"), whoForm()];
    const announced = announcement();
    announced.show(this.concert);
    fill(this.stage, h("section", { class: "card door" }, announced.element, door), h("aside", {}, this.#crowdCard()));
  }

  async enter() {
    const { concertId } = this.concert;
    let place;
    try {
      place = (await api.persist(() => api.enterQueue(this.user, concertId, { code: codeOf(concertId, this.user) }))).body;
    } catch (problem) {
      if (!isAboutCode(problem)) throw problem;
      return this.askForCode(problem);
    }
    this.#remember("ticket", null);
    this.#remember("token", place.token);
    if (this.signal.aborted) return;
    this.showPlace(place);
  }

  /** Asks for the presale code without which the server hands out no place. */
  askForCode(problem) {
    if (this.signal.aborted) return;
    this.#open(0, this.concert.title);
    const form = codeForm(this.concert.concertId, this.user, problem, (button) => busily(button, () => this.enter()));
    fill(this.stage, h("section", { class: "card door" }, h("h2", {}, "The presale is on"), form), h("aside", {}, this.#crowdCard()));
    form.querySelector("input").focus();
  }

  /** Shows a state of the place: a step on, or the next state of what is shown. */
  showPlace(place) {
    clock.learn(place.asOf);
    if (place.status === "EXPIRED") return this.#finish(place, ENDED);
    this.#follow(place);
    // An early place is in line, too. The announcement shows when the sale opens.
    const status = place.status === "EARLY" ? "WAITING" : place.status;
    if (this.#shown?.status === status) return this.#shown.show(place);
    if (status === "WAITING") this.showLine(place);
    else this.showHall(place);
  }

  #follow(place) {
    if (this.#feed?.token === place.token || this.signal.aborted) return;
    this.#unfollow();
    const feed = (this.#feed = new Feed(place));
    feed.addEventListener("place", ({ detail }) => this.showPlace(detail));
    feed.addEventListener("gone", ({ detail }) => this.showOutside(detail.words));
    const kept = () => (this.#shown?.status === "WAITING" ? "Your place is kept." : "Your turn goes on.");
    this.connection.watch(feed, kept);
  }

  #unfollow() {
    this.#feed?.close();
    this.#feed = null;
    this.connection.clear();
  }

  showLine(place) {
    const signal = this.#open(0, "In line");
    const { element, show } = lineView(place, signal, { onLeave: () => this.showOutside("You gave your place up.") });
    this.#shown = { status: "WAITING", show };
    fill(this.stage, element, h("aside", {}, this.#crowdCard()));
  }

  showHall(place) {
    const signal = this.#open(1, "Your turn");
    account.token = place.token;
    const hall = hallView(this.concert, place, signal, {
      payments: this.payments,
      onStep: (step) => this.setStep(step),
      onOver: (words) => this.#finish(place, words),
      onTicket: (ticket) => this.#take(ticket),
      onUndecided: () => this.showSettling(),
    });
    this.#shown = { status: "ACTIVE", show: hall.show };
    const leave = givingUp(place, { onLeft: () => this.showOutside("You gave your turn up.") });
    fill(this.stage, hall.map, h("aside", {}, hall.desk, leave, this.#crowdCard()));
    hall.start();
  }

  /** The place has ended. A payment ends it too: one whose answer was lost, or one of another tab. */
  async #finish(place, words) {
    const scene = this.#scene;
    this.#unfollow();
    if (this.payments.undecided().length) return this.showSettling();
    try {
      const ticket = await api.persist(() => this.payments.paidSince(place.issuedAt, this.#recall("seen")));
      if (this.#scene !== scene || scene.signal.aborted) return;
      if (ticket) return this.#take(ticket);
    } catch (problem) {
      if (!(problem instanceof api.Problem)) throw problem;
      if (this.#scene !== scene || scene.signal.aborted) return;
    }
    this.showOutside(words);
  }

  /** Finds the outcome of a payment that was sent and has no answer. */
  async showSettling() {
    const signal = this.#open(2, "Payment");
    const said = h("p", { role: "status", "aria-live": "polite" }, "Asking the server what became of it…");
    fill(this.stage, h("section", { class: "card door" },
      h("h2", {}, "Your payment has no answer yet"), said,
      h("p", { class: "hint" }, "The same payment is sent again under the same key until it is decided. Nothing is paid twice.")));
    const [payment] = this.payments.undecided();
    for (let attempt = 1; ; attempt++) {
      try {
        const { ticket, isKnown } = await this.payments.settle(payment);
        if (signal.aborted) return;
        if (ticket) return this.#take(ticket);
        notice(isKnown ? "That payment was not made: no points were taken."
          : "Whether that payment was made is not known. Your account shows your tickets.");
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
    this.#unfollow();
    this.#remember("ticket", ticket);
    this.#remember("seen", ticket.paymentId);
    this.showTicket(ticket);
  }

  showTicket(ticket) {
    this.#open(3, "Your ticket");
    account.token = null;
    account.refresh();
    fill(this.stage, ticketView(this.concert, ticket, { onAgain: () => this.goOn() }));
    this.stage.querySelector("h2")?.focus();
  }

  /** After a payment: back to the hall if the user still holds other seats, else to the entry. */
  async goOn() {
    this.#remember("ticket", null);
    await this.resume();
  }
}
