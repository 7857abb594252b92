// One concert from entry to ticket: before the line, early, in line, in the hall, and after the payment.

import { account, busily, notice, whoForm } from "./account.js";
import { announcement } from "./announcement.js";
import * as api from "./api.js";
import { codeForm, codeOf, isAboutCode } from "./code.js";
import { Connection } from "./connection.js";
import { HAS_CROWD, crowdCard } from "./crowd.js";
import { fill, h } from "./dom.js";
import { earlyView } from "./early.js";
import { Feed } from "./feed.js";
import { announce } from "./frame.js";
import { givingUp } from "./giving-up.js";
import { hallView } from "./hall.js";
import { t } from "./language.js";
import { lineView } from "./line.js";
import { Payments } from "./payment.js";
import { poster } from "./poster.js";
import { clock, session } from "./session.js";
import { SIGNS_IN } from "./sign-in.js";
import { tabs } from "./tabs.js";
import { ticketView } from "./ticket.js";
import { both, datesOf } from "./time.js";

const STEPS = 4;

/** Views of a place, by its status. */
const VIEWS = { EARLY: "showEarly", WAITING: "showLine", ACTIVE: "showHall" };

export async function journeyView(concert, index, signal) {
  const journey = new Journey(concert, signal);
  await journey.resume();
  const { title, venue } = concert;
  return [
    h("header", { class: "banner" },
      poster(concert, index, { wide: true }),
      h("div", { class: "caption" }, h("h1", {}, title), h("p", {}, `${venue} · ${datesOf(concert)}`)),
      concert.soldOut && h("span", { class: "sold-out" }, t("soldOut"))),
    journey.steps,
    journey.connection.element,
    journey.stage,
  ];
}

class Journey {
  steps = h("ol", { class: "steps", "aria-label": t("steps") });
  stage = h("div", { class: "stage-area" });
  connection = new Connection();
  #scene = new AbortController();
  #crowd;
  /** Whether a scene was shown before: the focus of the first one is the page's. */
  #isBegun = false;
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
    fill(this.steps, Array.from({ length: STEPS }, (_, index) =>
      h("li", { "aria-current": index === step && "step", class: index < step ? "done" : "" }, t(`step.${index}`))));
  }

  #crowdCard() {
    // A crowd is made of users without a session.
    if (!HAS_CROWD || SIGNS_IN) return null;
    this.#crowd ??= crowdCard(this.concert, this.signal);
    return this.#crowd;
  }

  /** Shows a scene. The focus is led to its heading if it was in the scene before, or nowhere. */
  #fill(main, ...aside) {
    const hadNone = document.activeElement === document.body;
    const beside = [...aside, this.#crowdCard()].filter(Boolean);
    fill(this.stage, main, beside.length > 0 && h("aside", {}, beside));
    const heading = this.stage.querySelector("h2");
    if (this.#isBegun && hadNone && heading) {
      heading.setAttribute("tabindex", "-1");
      heading.focus({ preventScroll: true });
    }
    this.#isBegun = true;
  }

  /** The text at the door. */
  #doorWords() {
    const { order, drawAt } = this.concert;
    return order === "draw" && drawAt && clock.secondsUntil(drawAt) > 0 ? t("doorDrawText", { at: both(drawAt) }) : t("doorText");
  }

  showOutside(words) {
    this.#open(0, this.concert.title);
    this.#unfollow();
    account.token = null;
    this.#remember("token", null);
    const enter = (event) => busily(event.currentTarget, () => this.enter());
    const door = this.user
      ? [
          h("h2", {}, t(words ? "onceMore" : "doorsOpen")),
          h("p", {}, words ?? this.#doorWords()),
          h("button", { type: "button", class: "primary large", on: { click: enter } }, t("enter")),
        ]
      : [h("h2", {}, t("whoComes")), whoForm()];
    const announced = announcement();
    announced.show(this.concert);
    const draw = this.concert.order === "draw" && h("p", { class: "hint" }, h("a", { href: `#/draw/${this.concert.concertId}` }, t("aboutDraw")));
    this.#fill(h("section", { class: "card door" }, announced.element, door, draw));
  }

  async enter() {
    const { concertId } = this.concert;
    let place;
    try {
      place = (await api.persist(() => api.enterQueue(this.user, concertId, { code: codeOf(concertId, this.user) }))).body;
    } catch (problem) {
      if (isAboutCode(problem)) return this.askForCode(problem);
      if (problem.code === "sale-not-open") return this.waitForOpening(problem);
      throw problem;
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
    this.#fill(h("section", { class: "card door" }, h("h2", {}, t("presaleOn")), form));
    form.querySelector("input").focus();
  }

  /** The waiting room is not open: enters when the server has said, to the second. Nothing is lost by waiting for that. */
  waitForOpening(problem) {
    if (this.signal.aborted) return;
    const signal = this.#open(0, this.concert.title);
    const { earlyFrom, opensAt, asOf } = problem.body;
    if (asOf) clock.learn(asOf);
    const at = earlyFrom && clock.secondsUntil(earlyFrom) > 0 ? earlyFrom : opensAt;
    const button = h("button", { type: "button", class: "primary large" }, t("enter"));
    const enter = () => busily(button, () => this.enter());
    button.addEventListener("click", enter);
    const timer = setTimeout(enter, (problem.retryAfter ?? 1) * 1000);
    signal.addEventListener("abort", () => clearTimeout(timer));
    this.#fill(h("section", { class: "card door" }, h("h2", {}, t("yourEarlyPlace")), at && h("p", { role: "status" }, t("notOpenYet", { at: both(at) })), button));
  }

  /** Shows a state of the place: a step on, or the next state of what is shown. */
  showPlace(place) {
    clock.learn(place.asOf);
    if (place.status === "EXPIRED") return this.#finish(place, t("placeEnded"));
    this.#follow(place);
    if (this.#shown?.status === place.status) return this.#shown.show(place);
    this[VIEWS[place.status]]?.(place);
  }

  #follow(place) {
    if (this.#feed?.token === place.token || this.signal.aborted) return;
    this.#unfollow();
    const feed = (this.#feed = new Feed(place));
    feed.addEventListener("place", ({ detail }) => this.showPlace(detail));
    feed.addEventListener("gone", ({ detail }) => this.showOutside(detail.words));
    const kept = () => t(this.#shown?.status === "ACTIVE" ? "keptTurn" : "keptPlace");
    this.connection.watch(feed, kept, () => announce(t("connectionBack")));
  }

  #unfollow() {
    this.#feed?.close();
    this.#feed = null;
    this.connection.clear();
  }

  showEarly(place) {
    const signal = this.#open(0, t("yourEarlyPlace"));
    const { element, show } = earlyView(this.concert, place, signal, { onLeave: () => this.showOutside(t("gavePlaceUp")) });
    this.#shown = { status: "EARLY", show };
    this.#fill(element);
  }

  showLine(place) {
    const signal = this.#open(0, t("step.0"));
    const { element, show } = lineView(place, signal, { onLeave: () => this.showOutside(t("gavePlaceUp")) });
    this.#shown = { status: "WAITING", show };
    this.#fill(element);
  }

  showHall(place) {
    const signal = this.#open(1, t("yourTurnTitle"));
    account.token = place.token;
    const hall = hallView(this.concert, place, signal, {
      payments: this.payments,
      onStep: (step) => this.setStep(step),
      onOver: (words) => this.#finish(place, words),
      onTicket: (ticket) => this.#take(ticket),
      onUndecided: () => this.showSettling(),
    });
    this.#shown = { status: "ACTIVE", show: hall.show };
    const leave = givingUp(place, { onLeft: () => this.showOutside(t("gaveTurnUp")) });
    this.#fill(hall.map, hall.desk, leave);
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
    const signal = this.#open(2, t("step.2"));
    const said = h("p", { role: "status", "aria-live": "polite" }, t("settlingAsk"));
    fill(this.stage, h("section", { class: "card door" },
      h("h2", {}, t("settlingTitle")), said, h("p", { class: "hint" }, t("settlingText"))));
    const [payment] = this.payments.undecided();
    for (let attempt = 1; ; attempt++) {
      try {
        const { ticket, isKnown } = await this.payments.settle(payment);
        if (signal.aborted) return;
        if (ticket) return this.#take(ticket);
        notice(t(isKnown ? "notPaid" : "paidUnknown"));
        return this.resume();
      } catch (problem) {
        if (!(problem instanceof api.Problem)) throw problem;
        if (signal.aborted) return;
        fill(said, t("askingAgain", { words: problem.words, n: attempt }));
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
    this.#open(3, t("yourTicketTitle"));
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
