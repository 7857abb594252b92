// The hall of an active turn: dates, current seats, and the time left.

import { account, notice } from "./account.js";
import { seatNames } from "./amounts.js";
import { announcement } from "./announcement.js";
import * as api from "./api.js";
import { deskCard } from "./desk.js";
import { fill, h, repeat } from "./dom.js";
import { t } from "./language.js";
import { SeatStream } from "./seat-stream.js";
import { SeatMap } from "./seats.js";
import { SectionPicker } from "./sections.js";
import { clock } from "./session.js";
import { tabs as otherTabs } from "./tabs.js";
import { day, minutes, second, time, yours, zoneWords } from "./time.js";
import { undecided, writes } from "./writes.js";

const LOOK_EVERY = 1_000;

/** A tab that gets the events of another tab's stream reads the map again after this many looks. */
const CHECK_EVERY = 30;

/** A hold that ends within this many seconds is not taken up again: it may have ended when the page shows it. */
const LEFT_MIN = 1;

/** Seconds after which the turn of a closed page is given up. A page that is loaded again keeps it. */
const LEAVE_GRACE = 10;

/** Milliseconds after which seats that could not be read again are said to be old. */
const OLD_AFTER = 5_000;

/** Seconds before the end of a turn at which the visitor is warned. */
const WARN_BEFORE = 60;

/** The sections are read again after this many reads of seats. */
const SECTIONS_EVERY = 3;

/**
 * What was open and chosen in the hall of each turn, by token id, `{performanceId, section, chosen}`: the same shows when the hall is made anew
 * in another language.
 */
const before = new Map();

const ENDED = () => t("turnEnded");

export function hallView(concert, place, signal, { payments, onStep, onOver, onTicket, onUndecided }) {
  const { token } = place;
  const { concertId } = concert;
  const tabs = h("div", { class: "dates", role: "group", "aria-label": t("dates") });
  const heading = h("h2", { tabindex: "-1" }, t("chooseSeats"));
  const turn = h("span", { class: "hint" });
  const announced = h("p", { class: "hidden", role: "status", "aria-live": "polite" }, t("itIsYourTurn"));
  const soldOut = h("p", { class: "message", hidden: !place.soldOut }, t("soldOutText"));
  const paused = h("p", { class: "message", role: "status", hidden: !place.paused }, t("pausedInside"));
  const warning = h("p", { class: "message bad", role: "alert", hidden: true });
  const old = h("p", { class: "message bad", role: "status", hidden: true });
  const said = announcement();
  said.show(place);
  const seats = new SeatMap({ onChoice: choose, most: concert.maxSeatsPerUser });
  const known = before.get(place.tokenId) ?? { performanceId: null, section: null, chosen: [] };
  before.set(place.tokenId, known);
  const sections = new SectionPicker(known.section, (section) => {
    known.section = section;
    tags.seats = null;
    stream.stop();
    seats.unload();
    guarded(lookAtSeats);
  });
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
  const tags = { dates: null, seats: null, sections: null };
  const stream = new SeatStream(concertId, token, signal);
  /** The instant, by the visitor's clock, of the last answer about seats, and whether the last read of them failed. */
  let seenAt = Date.now();
  let isFailing = false;
  /** Reads of seats since the sections were read. */
  let sinceSections = 0;

  function choose() {
    if (!hold) known.chosen = seats.chosen();
    desk.choose(seats.chosen());
  }

  const over = (problem) => {
    if (signal.aborted) return true;
    if (!problem.isTurnOver) return false;
    onOver(ENDED(), hold);
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
    const open = date?.performanceId ?? known.performanceId;
    date = dates.find(({ performanceId }) => performanceId === open) ?? dates.find(({ remaining }) => remaining > 0) ?? dates[0] ?? null;
    showDates();
  };

  const lookAtSeats = async () => {
    if (!date) return;
    const asked = date;
    await lookAtSections();
    if (signal.aborted || asked !== date) return;
    const section = sections.open;
    const answer = await api.listConcertSeats(concertId, asked.date, { token, tag: tags.seats, section });
    [seenAt, isFailing] = [Date.now(), false];
    if (answer.status === 304 || signal.aborted || asked !== date || section !== sections.open) return;
    tags.seats = answer.tag;
    const performance = answer.body.performances.find(({ performanceId }) => performanceId === asked.performanceId);
    if (performance) await showSeats(asked, stream.follow(performance));
    else {
      stream.stop();
      await showSeats(asked, []);
    }
  };

  /** Shows the seats of a date, and which chosen ones were lost. */
  const showSeats = async (asked, now) => {
    const mine = () => own.filter(({ performanceId }) => performanceId === asked.performanceId).flatMap((held) => held.seats);
    const chosen = known.performanceId === asked.performanceId ? known.chosen : [];
    known.performanceId = asked.performanceId;
    let lost = seats.show(asked.performanceId, now, mine());
    if (!hold && chosen.length && !seats.chosen().length) seats.choose(chosen);
    if (lost.length) {
      // This visitor may hold them, by another tab or by a request whose answer was lost.
      await lookAtHolds();
      lost = lost.filter((seat) => !mine().includes(seat));
    }
    if (lost.length && !signal.aborted) notice(t("seatLost", { n: lost.length, seats: lost.join(", ") }));
  };

  /** The sections of the performance, with their free seats. A hall without a layout has none. */
  async function lookAtSections() {
    const asked = date;
    // Without a layout there is nothing to read again.
    const isKnown = tags.sections !== null && (sections.open === null || sinceSections++ % SECTIONS_EVERY !== 0);
    if (isKnown) return;
    try {
      const answer = await api.listConcertSections(concertId, asked.performanceId, { token, tag: tags.sections });
      if (answer.status === 304 || signal.aborted || asked !== date) return;
      tags.sections = answer.tag;
      sections.show(answer.body);
    } catch (problem) {
      // A performance that has begun is no longer known there; what is held of it can still be paid.
      if (!(problem instanceof api.Problem) || problem.status !== 404) throw problem;
    }
  }

  /** The next state of the turn. */
  const show = (next) => {
    const isLonger = Date.parse(next.activeUntil) > Date.parse(activeUntil);
    activeUntil = next.activeUntil;
    soldOut.hidden = !next.soldOut;
    paused.hidden = !next.paused;
    said.show(next);
    // An administrator may have extended the hold that keeps the turn running. Any other extension is seen within 5 s.
    if (hold && isLonger) guarded(lookAtHolds);
  };

  const refreshTurn = async () => {
    const { body } = await api.getQueuePlace(token);
    clock.learn(body.asOf);
    if (body.status === "EXPIRED") return onOver(ENDED(), hold);
    show(body);
  };

  const pick = (next) => {
    date = next;
    [tags.seats, tags.sections] = [null, null];
    [known.performanceId, known.section, known.chosen] = [next.performanceId, null, []];
    sections.show([]);
    stream.stop();
    seats.clear();
    showDates();
    guarded(lookAtSeats);
  };

  function showDates() {
    fill(tabs, dates.map((known) => {
      const { performanceId, startsAt, remaining, hasBegun } = known;
      const isShown = known === date;
      const state = hasBegun ? t("hasBegun") : known.status === "CLOSED" ? t("closed") : remaining === 0 ? t("soldOutOrHeld") : t("seatsFree", { n: remaining });
      return h("button", {
        type: "button", class: "date", "aria-pressed": String(isShown), "data-key": performanceId,
        disabled: hold && !isShown, on: { click: () => isShown || pick(known) },
      },
      h("strong", {}, day(known.date)), h("span", {}, time(startsAt)),
      yours(startsAt) && h("span", { class: "hint" }, yours(startsAt)), h("span", { class: "hint" }, state));
    }));
    if (!dates.length) fill(tabs, h("p", { class: "hint" }, t("noDate")));
  }

  const setHold = (next) => {
    own = own.filter(({ reservationId }) => reservationId !== (hold ?? next)?.reservationId);
    if (next) own.push(next);
    hold = next;
    known.chosen = [];
    changes++;
    heldFor = next && date;
    seats.lock(Boolean(next));
    tags.seats = null;
    fill(heading, t(next ? "yourSeats" : "chooseSeats"));
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
        if (date !== performance) {
          [tags.seats, tags.sections] = [null, null];
          stream.stop();
        }
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
    else if (now?.status === "RELEASED") desk.drop(t("givenBack", { names: seatNames(now.seats) }));
    else if (now?.status === "REFUNDED") desk.drop(t("paidAndGivenBack", { names: seatNames(now.seats) }));
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

  /** Warns once before the turn ends, while nothing is held: a hold has a time of its own. */
  function warn(isDue) {
    if (warning.hidden !== isDue) return;
    warning.hidden = !isDue;
    fill(warning, isDue ? t("turnWarning") : "");
  }

  /** Shows of which time the seats are if they could not be read again. */
  function tellAge() {
    const isOld = isFailing && Date.now() - seenAt > OLD_AFTER;
    if (old.hidden !== isOld) return;
    old.hidden = !isOld;
    fill(old, isOld ? t("dataOld", { at: second(new Date(seenAt + clock.ahead).toISOString()) }) : "");
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
    stream.addEventListener("seats", () => date && guarded(() => showSeats(date, stream.seats)));
    stream.addEventListener("stale", () => (tags.seats = null));
    stream.addEventListener("end", () => guarded(refreshTurn));
    let beat = 0;
    const stopLooking = repeat(LOOK_EVERY, async () => {
      try {
        const isDoubtful = !stream.isOwn && beat % CHECK_EVERY === 0;
        // The stream does not know what this visitor has changed.
        if (!stream.isLive || !tags.seats || isDoubtful) await lookAtSeats();
        else {
          [seenAt, isFailing] = [Date.now(), false];
          if (date) await lookAtSections();
        }
        if (beat++ % 4 === 0) await lookAtDates();
        if (beat % 5 === 0) await lookAtHolds();
        if (beat % 10 === 0) await refreshTurn();
      } catch (problem) {
        // A failed request is repeated in a second; only the end of the turn matters here.
        if (!(problem instanceof api.Problem)) throw problem;
        isFailing = true;
        over(problem);
      }
    });
    const stopTicking = repeat(500, () => {
      const left = clock.secondsUntil(activeUntil);
      fill(turn, left > 0 ? t("turnEndsIn", { left: minutes(left) }) : hold ? t("turnOver") : "");
      warn(left > 0 && left <= WARN_BEFORE && !hold);
      tellAge();
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

  const map = h("section", { class: "card hall", "aria-label": t("seatsTitle") },
    h("div", { class: "spread" }, heading, turn), announced, said.element, paused, soldOut, warning, old,
    h("p", { class: "hint note" }, zoneWords()), tabs, sections.element, seats.element);
  return { map, desk: desk.element, start, show };
}
