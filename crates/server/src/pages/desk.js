// The panel next to the hall: chosen seats, held seats with their deadline, and payment exactly once.

import { CHARGES, account, balanceText, busily, chargeButtons, notice } from "./account.js";
import * as api from "./api.js";
import { codeForm, codeOf, isAboutCode } from "./code.js";
import { fill, h, plural, points, repeat, seatNames, whole } from "./dom.js";
import { clock } from "./session.js";
import { day, minutes } from "./time.js";

export function deskCard(concert, token, signal, { payments, onHeld, onReleased, onTaken, onTicket, onUndecided, onOver, performance }) {
  const element = h("section", { class: "card desk", "aria-label": "Your seats" });
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
    const list = chosen.map(({ seat, grade, price }) => h("li", { class: "spread" }, h("span", {}, `Seat ${seat} · ${grade}`), h("span", {}, whole(price))));
    element.classList.toggle("choosing", chosen.length > 0);
    const label = chosen.length ? `Hold ${seatNames(chosen.map(({ seat }) => seat)).toLowerCase()}` : "Hold seats";
    const full = chosen.length === most && h("p", { class: "hint" }, `${plural(most, "seat is", "seats are")} the most that one person may have.`);
    fill(element,
      h("h2", {}, "Your choice"),
      words && h("p", { class: "message bad", role: "alert" }, words),
      chosen.length ? h("ul", { class: "plain" }, list) : h("p", { class: "hint" }, `Up to ${plural(most, "seat")}. Arrow keys move between them.`),
      h("p", { class: "spread total" }, h("span", {}, "Total"), h("strong", {}, points(total))),
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
      if (seatNames(body.seats) !== seatNames(seats)) notice(`${seatNames(body.seats)}, which you chose before, are held for you.`);
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
    const pay = h("button", { type: "button", class: "primary wide" }, `Pay ${points(reservation.amount)}`);
    const release = h("button", { type: "button", class: "link" }, "Give the seats back");
    const short = h("div", { hidden: true }, h("p", { class: "hint" }, CHARGES ? "Your points do not reach. Charge some first:" : "Your points do not reach. Charge some at a till first."), chargeButtons());
    const spoken = h("p", { class: "hidden", role: "status", "aria-live": "polite" }, `${seatNames(reservation.seats)} held.`);
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
      const retry = (attempt) => say(`No answer yet. Asking again with the same key (${attempt}); nothing is paid twice.`);
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
        say(problem.isPassing ? `${problem.words} Press Pay again: the same key goes along.` : problem.words, "bad");
      }
    }));

    release.addEventListener("click", () => busily(release, async () => {
      await api.releaseReservation(account.user, reservation, { token });
      notice(`${seatNames(reservation.seats)} given back.`);
      leave();
    }));

    const tick = () => {
      const seconds = clock.secondsUntil(reservation.heldUntil);
      fill(left, minutes(seconds));
      bar.value = Math.max(0, seconds / span);
      bar.classList.toggle("late", seconds < 60);
      if (seconds > 0 || pay.getAttribute("aria-busy") === "true") return;
      // What was paid for is not free again, even if the answer was lost.
      if (payments.undecided().length) onUndecided();
      else leave("The hold has ended, and the seats are free again.");
    };
    fill(element,
      h("h2", {}, "Held for you"),
      h("div", { class: "spread" }, h("span", {}, seatNames(reservation.seats)), h("span", { class: "hint" }, reservation.date ? day(reservation.date) : "")),
      h("p", { class: "clock" }, left, h("span", { class: "hint" }, "left to pay")), bar, spoken,
      h("dl", { class: "sums" },
        h("div", { class: "spread" }, h("dt", {}, "To pay"), h("dd", {}, whole(reservation.amount))),
        h("div", { class: "spread" }, h("dt", {}, "Your points"), h("dd", {}, balanceText(watch.signal)))),
      message, short, pay, h("p", { class: "centre" }, release));
    element.classList.remove("choosing");
    stopTicking = repeat(250, tick);
    pay.focus();
  }

  /** Whether an answer is awaited that changes what is held. */
  const isBusy = () => element.querySelector('[aria-busy="true"]') !== null;

  showChoice();
  return { element, choose, hold, isBusy, drop: (words) => drop(words) };
}
