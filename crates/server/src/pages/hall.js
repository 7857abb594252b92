// The hall of an active turn: dates, current seats, and the time left.

import { account, notice } from "./account.js";
import { announcement } from "./announcement.js";
import * as api from "./api.js";
import { deskCard } from "./desk.js";
import { fill, h, plural, repeat, seatNames } from "./dom.js";
import { SeatMap } from "./seats.js";
import { clock } from "./session.js";
import { tabs as otherTabs } from "./tabs.js";
import { day, minutes, time, yours, zoneWords } from "./time.js";
import { undecided, writes } from "./writes.js";

const LOOK_EVERY = 1_000;

/** A hold that ends within this many seconds is not taken up again: it may have ended when the page shows it. */
const LEFT_MIN = 1;

/** Seconds after which the turn of a closed page is given up. A page that is loaded again keeps it. */
const LEAVE_GRACE = 10;

const ENDED = "Your turn has ended. If you enter again, you start at the end of the line.";

export function hallView(concert, place, signal, { payments, onStep, onOver, onTicket, onUndecided }) {
  const { token } = place;
  const { concertId } = concert;
  const tabs = h("div", { class: "dates", role: "group", "aria-label": "Dates" });
  const heading = h("h2", {}, "Choose your seats");
  const turn = h("span", { class: "hint" });
  const announced = h("p", { class: "hidden", role: "status", "aria-live": "polite" }, "It is your turn. Choose your seats.");
  const soldOut = h("p", { class: "message", hidden: !place.soldOut }, "Sold out. Nothing is left in this concert, and no hold can come back.");
  const said = announcement();
  said.show(place);
  const seats = new SeatMap({ onChoice: () => desk.choose(seats.chosen()), most: concert.maxSeatsPerUser });
  let activeUntil = place.activeUntil;
  let dates = [];
  let date = null;
  let hold = null;
  /** The performance of the hold. The server no longer lists it once it has begun, and the hold can still be paid. */
  let heldFor = null;
  /** Everything that this visitor holds, in all tabs. */
  let own = [];
  /** Counts changes of the hold. Answers to requests before the last change are ignored. */
  let changes = 0;
  const tags = { dates: null, seats: null };

  const over = (problem) => {
    if (signal.aborted) return true;
    if (!problem.isTurnOver) return false;
    onOver(ENDED, hold);
    return true;
  };

  /** Runs a call of the turn; shows what went wrong, unless the turn itself is over. */
  const guarded = async (task) => {
    try {
      return await task();
    } catch (problem) {
      if (!(problem instanceof api.Problem)) throw problem;
      if (!over(problem)) notice(problem.words, "bad");
      return null;
    }
  };

  const lookAtDates = async () => {
    const answer = await api.listConcertDates(concertId, { token, tag: tags.dates });
    if (answer.status === 304 || signal.aborted) return;
    tags.dates = answer.tag;
    payments.know(answer.body);
    const isListed = answer.body.some(({ performanceId }) => performanceId === heldFor?.performanceId);
    dates = heldFor && !isListed ? [{ ...heldFor, hasBegun: true }, ...answer.body] : answer.body;
    date = dates.find((known) => known.performanceId === date?.performanceId) ?? dates.find(({ remaining }) => remaining > 0) ?? dates[0] ?? null;
    showDates();
  };

  const lookAtSeats = async () => {
    if (!date) return;
    const asked = date;
    const answer = await api.listConcertSeats(concertId, asked.date, { token, tag: tags.seats });
    if (answer.status === 304 || signal.aborted || asked !== date) return;
    tags.seats = answer.tag;
    const performance = answer.body.performances.find(({ performanceId }) => performanceId === asked.performanceId);
    const mine = () => own.filter(({ performanceId }) => performanceId === asked.performanceId).flatMap((held) => held.seats);
    let lost = seats.show(asked.performanceId, performance?.seats ?? [], mine());
    if (lost.length) {
      // This visitor may hold them, by another tab or by a request whose answer was lost.
      await lookAtHolds();
      lost = lost.filter((seat) => !mine().includes(seat));
    }
    if (lost.length && !signal.aborted) notice(`${lost.length === 1 ? `Seat ${lost[0]} was` : `Seats ${lost.join(", ")} were`} taken by another visitor.`);
  };

  /** The next state of the turn. */
  const show = (next) => {
    const isLonger = Date.parse(next.activeUntil) > Date.parse(activeUntil);
    activeUntil = next.activeUntil;
    soldOut.hidden = !next.soldOut;
    said.show(next);
    // An administrator may have extended the hold that keeps the turn running. Any other extension is seen within 5 s.
    if (hold && isLonger) guarded(lookAtHolds);
  };

  const refreshTurn = async () => {
    const { body } = await api.getQueuePlace(token);
    clock.learn(body.asOf);
    if (body.status === "EXPIRED") return onOver(ENDED, hold);
    show(body);
  };

  const pick = (next) => {
    date = next;
    tags.seats = null;
    seats.clear();
    showDates();
    guarded(lookAtSeats);
  };

  function showDates() {
    fill(tabs, dates.map((known) => {
      const { performanceId, startsAt, remaining, hasBegun } = known;
      const isShown = known === date;
      const state = hasBegun ? "has begun" : known.status === "CLOSED" ? "closed" : remaining === 0 ? "sold out or held" : `${plural(remaining, "seat")} free`;
      return h("button", {
        type: "button", class: "date", "aria-pressed": String(isShown), "data-key": performanceId,
        disabled: hold && !isShown, on: { click: () => isShown || pick(known) },
      },
      h("strong", {}, day(known.date)), h("span", {}, time(startsAt)),
      yours(startsAt) && h("span", { class: "hint" }, yours(startsAt)), h("span", { class: "hint" }, state));
    }));
    if (!dates.length) fill(tabs, h("p", { class: "hint" }, "No date of this concert is still to come."));
  }

  const setHold = (next) => {
    own = own.filter(({ reservationId }) => reservationId !== (hold ?? next)?.reservationId);
    if (next) own.push(next);
    hold = next;
    changes++;
    heldFor = next && date;
    seats.lock(Boolean(next));
    tags.seats = null;
    fill(heading, next ? "Your seats" : "Choose your seats");
    onStep(next ? 2 : 1);
    showDates();
    guarded(lookAtSeats);
    guarded(refreshTurn);
  };

  const desk = deskCard(concert, token, signal, {
    payments,
    onHeld: setHold,
    onReleased: () => {
      setHold(null);
      guarded(recover);
    },
    onTaken: (taken) => {
      seats.drop(taken);
      tags.seats = null;
      guarded(lookAtSeats);
    },
    onTicket,
    onUndecided,
    onOver: over,
    performance: () => date,
  });

  /**
   * Seats that were held before the page was loaded again, or in another tab. The list is newest first: if the time of every
   * hold on a page has passed, no later page has one that is live.
   */
  async function recover() {
    const isRecent = ({ heldUntil }) => clock.secondsUntil(heldUntil) >= LEFT_MIN;
    for (let page = await api.listUserReservations(account.user); page; page = page.body.some(isRecent) && page.more && (await page.more())) {
      for (const live of page.body) {
        if (live.status !== "HELD" || clock.secondsUntil(live.heldUntil) < LEFT_MIN) continue;
        const performance = await performanceOf(live);
        if (signal.aborted || hold) return;
        if (!performance) continue;
        date = performance;
        if (!dates.includes(date)) dates = [date, ...dates];
        desk.hold(live);
        return;
      }
    }
  }

  /** The seats that this visitor holds now, in all tabs. */
  async function lookAtHolds() {
    const before = changes;
    const { body } = await api.listUserReservations(account.user);
    if (signal.aborted || changes !== before || desk.isBusy()) return;
    const held = body.filter(({ status }) => status === "HELD");
    if (String(held.map(({ reservationId }) => reservationId)) !== String(own.map(({ reservationId }) => reservationId))) tags.seats = null;
    own = held;
    const now = hold && body.find(({ reservationId }) => reservationId === hold.reservationId);
    if (now?.status === "HELD") hold.heldUntil = now.heldUntil;
    if (!hold && held.length) await recover();
    else if (now?.status === "RELEASED") desk.drop(`${seatNames(now.seats)} given back.`);
    else if (now?.status === "REFUNDED") desk.drop(`${seatNames(now.seats)} paid for and given back.`);
    else if (now?.status === "PAID") await showPaid(now);
    await settleHolds();
  }

  /** Paid by another tab, or by a request whose answer was lost. */
  async function showPaid(reservation) {
    const ticket = await payments.paidOtherwise({ ...reservation, token, startsAt: date?.startsAt ?? null });
    if (ticket && !signal.aborted) onTicket(ticket);
  }

  /** A hold without an answer that is seen to be there is decided: sent again, it is answered. */
  async function settleHolds() {
    for (const record of undecided(account.user)) {
      const { operation, body } = record.wish;
      if (operation === "createReservation" && body.performanceId === hold?.performanceId) await api.settle(record, { isQuiet: true });
    }
  }

  /** The performance of a reservation; null if it is another concert's. One that has begun is found by its seats. */
  async function performanceOf({ performanceId, date }) {
    const listed = dates.find((known) => known.performanceId === performanceId);
    if (listed || !date) return listed ?? null;
    const { body } = await api.listConcertSeats(concertId, date, { token });
    const begun = body.performances.find((known) => known.performanceId === performanceId);
    return begun ? { performanceId, date, startsAt: begun.startsAt, remaining: begun.remaining, hasBegun: true } : null;
  }

  /** A closed page gives the turn up, unless its visitor may hold seats, in this tab or another. */
  const onPageHide = () => {
    if (hold || own.length || desk.isBusy() || undecided(account.user).length) return;
    api.leaveSoon(token, LEAVE_GRACE);
  };

  const start = async () => {
    const holdsAreRead = await guarded(async () => {
      await lookAtDates();
      await recover();
      account.refresh();
      return true;
    });
    if (signal.aborted) return;
    if (holdsAreRead) addEventListener("pagehide", onPageHide, { signal });
    const onDone = ({ detail }) => {
      if ((detail.user ?? detail.wish?.user) === account.user) guarded(lookAtHolds);
    };
    otherTabs.addEventListener("done", onDone, { signal });
    writes.addEventListener("settled", onDone, { signal });
    let beat = 0;
    const stopLooking = repeat(LOOK_EVERY, async () => {
      try {
        await lookAtSeats();
        if (beat++ % 4 === 0) await lookAtDates();
        if (beat % 5 === 0) await lookAtHolds();
        if (beat % 10 === 0) await refreshTurn();
      } catch (problem) {
        // A failed request is repeated in a second; only the end of the turn matters here.
        if (!(problem instanceof api.Problem)) throw problem;
        over(problem);
      }
    });
    const stopTicking = repeat(500, () => {
      const left = clock.secondsUntil(activeUntil);
      fill(turn, left > 0 ? `Turn ends in ${minutes(left)}` : hold ? "Your turn is over; what you hold can still be paid" : "");
    });
    signal.addEventListener("abort", () => {
      stopLooking();
      stopTicking();
    });
    if (signal.aborted) {
      stopLooking();
      stopTicking();
    }
  };

  const map = h("section", { class: "card hall", "aria-label": "Seats" },
    h("div", { class: "spread" }, heading, turn), announced, said.element, soldOut, h("p", { class: "hint note" }, zoneWords()), tabs, seats.element);
  return { map, desk: desk.element, start, show };
}
