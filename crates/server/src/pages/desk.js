// The panel next to the hall: chosen seats, held seats with their deadline, and payment exactly once.

import { CHARGES, account, balanceText, busily, chargeButtons, notice } from "./account.js";
import { points, seatNames, whole } from "./amounts.js";
import * as api from "./api.js";
import { codeForm, codeOf, isAboutCode } from "./code.js";
import { fill, h, repeat } from "./dom.js";
import { t } from "./language.js";
import { clock } from "./session.js";
import { day, minutes } from "./time.js";

/** Seconds before the end of a hold at which the visitor is warned. */
const WARN_BEFORE = 60;

export function deskCard(concert, token, signal, { payments, onHeld, onReleased, onTaken, onTicket, onUndecided, onOver, performance }) {
  const element = h("section", { class: "card desk", "aria-label": t("yourSeats") });
  const most = concert.maxSeatsPerUser;
  let chosen = [];
  let stopTicking = () => {};
  /** Goes back to the choice of seats, while seats are held. */
  let drop = () => {};
  signal.addEventListener("abort", () => stopTicking());

  const choose = (seats) => {
    chosen = seats;
    showChoice();
  };

  /** `problem`: the last refusal, if it was about the presale code. */
  function showChoice(words, problem) {
    stopTicking();
    const total = chosen.reduce((sum, { price }) => sum + price, 0);
    const list = chosen.map(({ seat, grade, price }) => h("li", { class: "spread" }, h("span", {}, t("choiceLine", { seat: String(seat), grade })), h("span", {}, whole(price))));
    element.classList.toggle("choosing", chosen.length > 0);
    const numbers = chosen.map(({ seat }) => seat).sort((one, other) => one - other);
    const label = chosen.length ? t("holdThese", { n: chosen.length, seats: numbers.join(", ") }) : t("holdSeats");
    const full = chosen.length === most && h("p", { class: "hint" }, t("theMost", { n: most }));
    fill(element,
      h("h2", {}, t("yourChoice")),
      words && h("p", { class: "message bad", role: "alert" }, words),
      chosen.length ? h("ul", { class: "plain" }, list) : h("p", { class: "hint" }, t("upTo", { n: most })),
      h("p", { class: "spread total" }, h("span", {}, t("total")), h("strong", {}, points(total))),
      full,
      problem && codeForm(concert.concertId, account.user, problem, (button) => busily(button, ask)),
      h("button", { type: "button", class: "primary wide", disabled: chosen.length === 0, on: { click: (event) => busily(event.currentTarget, ask) } }, label));
    if (problem) element.querySelector("input").focus();
  }

  async function ask() {
    const seats = chosen.map(({ seat }) => seat);
    const { performanceId } = performance();
    try {
      const { body } = await api.createReservation(account.user, performanceId, seats, { token, code: codeOf(concert.concertId, account.user) });
      if (seatNames(body.seats) !== seatNames(seats)) notice(t("heldBefore", { names: seatNames(body.seats) }));
      hold(body);
    } catch (problem) {
      if (!(problem instanceof api.Problem)) throw problem;
      if (onOver(problem)) return;
      if (isAboutCode(problem)) return showChoice(null, problem);
      if (problem.code === "seat-taken") onTaken(problem.body.seats ?? []);
      showChoice(problem.words);
    }
  }

  /** Shows held seats: the visitor may pay or release them. */
  function hold(reservation) {
    stopTicking();
    onHeld(reservation);
    const left = h("strong", { class: "countdown", role: "timer" });
    const bar = h("progress", { max: 1, value: 1, "aria-hidden": "true" });
    const message = h("p", { class: "message", role: "alert", hidden: true });
    const warning = h("p", { class: "message bad", role: "alert", hidden: true });
    const pay = h("button", { type: "button", class: "primary wide" }, t("pay", { points: points(reservation.amount) }));
    const release = h("button", { type: "button", class: "link" }, t("giveBack"));
    const short = h("div", { hidden: true }, h("p", { class: "hint" }, t(CHARGES ? "tooFew" : "tooFewTill")), chargeButtons());
    const spoken = h("p", { class: "hidden", role: "status", "aria-live": "polite" }, t("heldNow", { names: seatNames(reservation.seats) }));
    const span = Math.max(1, clock.secondsUntil(reservation.heldUntil));

    const say = (words, kind = "") => {
      message.hidden = !words;
      message.className = `message ${kind}`;
      fill(message, words ?? "");
    };
    const isShort = () => account.balance != null && account.balance < reservation.amount;
    const follow = () => {
      const focused = document.activeElement;
      short.hidden = !isShort();
      // The button that put in the last points that were missing goes away with its group.
      if (short.hidden && short.contains(focused)) pay.focus();
    };
    const watch = new AbortController();
    account.addEventListener("change", follow, { signal: watch.signal });
    follow();

    const leave = (words) => {
      watch.abort();
      stopTicking();
      chosen = [];
      onReleased();
      showChoice(words);
    };

    drop = leave;

    pay.addEventListener("click", () => busily(pay, async () => {
      say(null);
      const retry = (attempt) => say(t("noAnswerYet", { n: attempt }));
      try {
        const ticket = await payments.pay(reservation, { token, startsAt: performance()?.startsAt ?? null }, retry);
        watch.abort();
        stopTicking();
        account.learn(ticket.balance, ticket.paidAt);
        onTicket(ticket);
      } catch (problem) {
        if (!(problem instanceof api.Problem)) throw problem;
        if (signal.aborted) return;
        // Another tab may have paid, which ends the turn too.
        if (problem.code === "already-paid" || problem.isTurnOver) {
          const ticket = await payments.paidOtherwise({ ...reservation, token, startsAt: performance()?.startsAt ?? null });
          if (ticket) return onTicket(ticket);
        }
        if (problem.code === "hold-expired" || problem.code === "already-paid") return leave(problem.words);
        if (onOver(problem)) return;
        if (problem.code === "insufficient-balance") await account.refresh();
        say(problem.isPassing ? t("payAgain", { words: problem.words }) : problem.words, "bad");
      }
    }));

    release.addEventListener("click", () => busily(release, async () => {
      await api.releaseReservation(account.user, reservation, { token });
      notice(t("givenBack", { names: seatNames(reservation.seats) }));
      leave();
    }));

    const tick = () => {
      const seconds = clock.secondsUntil(reservation.heldUntil);
      fill(left, minutes(seconds));
      bar.value = Math.max(0, seconds / span);
      bar.classList.toggle("late", seconds < WARN_BEFORE);
      // Said once: a countdown that is read aloud each second is in the way. An extended hold may be warned of again.
      const isDue = seconds > 0 && seconds < WARN_BEFORE;
      if (warning.hidden === isDue) {
        warning.hidden = !isDue;
        fill(warning, isDue ? t("holdWarning") : "");
      }
      if (seconds > 0 || pay.getAttribute("aria-busy") === "true") return;
      // What was paid for is not free again, even if the answer was lost.
      if (payments.undecided().length) onUndecided();
      else leave(t("holdEnded"));
    };
    fill(element,
      h("h2", {}, t("heldForYou")),
      h("div", { class: "spread" }, h("span", {}, seatNames(reservation.seats)), h("span", { class: "hint" }, reservation.date ? day(reservation.date) : "")),
      h("p", { class: "clock" }, left, h("span", { class: "hint" }, t("leftToPay"))), bar, spoken,
      h("dl", { class: "sums" },
        h("div", { class: "spread" }, h("dt", {}, t("toPay")), h("dd", {}, whole(reservation.amount))),
        h("div", { class: "spread" }, h("dt", {}, t("yourPoints")), h("dd", {}, balanceText(watch.signal)))),
      warning, message, short, pay, h("p", { class: "centre" }, release));
    element.classList.remove("choosing");
    stopTicking = repeat(250, tick);
    pay.focus();
  }

  /** Whether an answer is awaited that changes what is held. */
  const isBusy = () => element.querySelector('[aria-busy="true"]') !== null;

  showChoice();
  return { element, choose, hold, isBusy, drop: (words) => drop(words) };
}
