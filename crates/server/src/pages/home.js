// The first page, with concerts and lectures, and the page about the visitor's own points and tickets.

import { account, accountCard, balanceText, busily, chargeButtons, chargeForm, notice, whoForm } from "./account.js";
import * as api from "./api.js";
import { fill, h, plural, points, repeat, seatNames, whole } from "./dom.js";
import { GrowingList, moreButton } from "./growing.js";
import { poster } from "./poster.js";
import { SIGNS_IN } from "./sign-in.js";
import { datesOf, day, evening, moment, yours, zoneWords } from "./time.js";

export function homeView(concerts, signal) {
  return [
    h("section", { class: "hero" },
      h("div", {},
        h("h1", {}, "First come,", h("br"), "first served."),
        h("p", { class: "lead" },
          "A booking server you can try by hand. Charge points, take a place in a lecture, or stand in line for a concert and hold your seats.")),
      accountCard(signal)),
    concertSection(concerts),
    lectureSection(signal),
  ];
}

/** The concerts of the first page, and further ones when the visitor requests them. */
function concertSection(first) {
  const list = h("ul", { class: "posters" });
  const more = h("div");
  let shown = 0;
  const show = (page) => {
    const cards = page.body.map((concert, index) => concertCard(concert, shown + index));
    shown += cards.length;
    list.append(...cards);
    const goOn = (event) => busily(event.currentTarget, async () => {
      const [next] = show(await page.more());
      // Reading goes on where the list ended before.
      next?.querySelector("a").focus();
    });
    fill(more, page.more && moreButton("concerts", goOn));
    return cards;
  };
  show(first);
  return h("section", { "aria-labelledby": "concerts" },
    h("h2", { id: "concerts" }, "Concerts"),
    h("p", { class: "hint note" }, zoneWords()),
    shown ? [list, more] : empty("concerts"));
}

function empty(what) {
  return h("p", { class: "card hint" }, `No ${what} yet. Start the server with --demo, or make some with the admin calls of the API.`);
}

function concertCard(concert, index) {
  return h("li", {},
    h("a", { class: "concert", href: `#/concerts/${concert.concertId}` },
      poster(concert, index),
      concert.soldOut && h("span", { class: "sold-out" }, "Sold out"),
      h("span", { class: "caption" },
        h("strong", {}, concert.title),
        h("span", {}, `${concert.venue} · ${datesOf(concert)}`))));
}

function lectureSection(signal) {
  const list = h("ul", { class: "lectures card" }, h("li", { class: "hint" }, "Loading…"));
  const more = h("div");
  const pages = new GrowingList(api.listLectures, { size: 200 });
  let shown = "";
  const load = async () => {
    try {
      const [{ entries, isLast }, applied] = await Promise.all([
        pages.load(),
        account.user ? api.listLectureApplications(account.user) : { body: { applications: [] } },
      ]);
      const mine = new Map(applied.body.applications.map((application) => [application.lectureId, application]));
      const text = JSON.stringify([entries, isLast, [...mine.values()]]);
      if (text === shown || signal.aborted) return;
      shown = text;
      fill(list, entries.length ? entries.map((lecture) => lectureRow(lecture, mine.get(lecture.lectureId), load)) : h("li", {}, "No lectures yet."));
      fill(more, !isLast && moreButton("lectures", (event) => {
        pages.grow();
        busily(event.currentTarget, load);
      }));
    } catch (problem) {
      if (!(problem instanceof api.Problem)) throw problem;
      if (!shown) fill(list, h("li", {}, problem.words));
    }
  };
  signal.addEventListener("abort", repeat(3_000, load));
  return h("section", { "aria-labelledby": "lectures" }, h("h2", { id: "lectures" }, "Lectures"), list, more);
}

/** `own` is the visitor's application for the lecture, with a place or in the waiting list. */
function lectureRow(lecture, own, reload) {
  const { lectureId, title, lecturer, startsAt, capacity, enrolled, remaining, waitlisted } = lecture;
  // Free places are for those who wait.
  const isFull = remaining === 0 || waitlisted > 0;
  const waits = own?.status === "WAITLISTED";
  const act = (event) => {
    if (!account.user) return askWho();
    busily(event.currentTarget, async () => {
      try {
        if (own) {
          await api.cancelLectureApplication(account.user, lecture);
          notice(waits ? `You left the waiting list of “${title}”.` : `Your place in “${title}” is free again.`);
        } else {
          const { body } = await api.applyForLecture(account.user, lecture, isFull);
          const waiting = `You are number ${body.position} on the waiting list of “${title}”.`;
          notice(body.status === "WAITLISTED" ? waiting : `You have place ${body.seatNumber} in “${title}”.`);
        }
      } finally {
        await reload();
      }
    });
  };
  const label = waits ? "Leave the waiting list" : own ? "Cancel" : isFull ? "Join the waiting list" : "Apply";
  const free = `${whole(remaining)} of ${plural(capacity, "place")} free`;
  const waiting = waitlisted > 0 ? `${free}, ${whole(waitlisted)} waiting` : free;
  const state = waits ? `You are number ${whole(own.position)} on the waiting list` : own ? "You have a place" : waiting;
  return h("li", {},
    h("div", { class: "what" },
      h("strong", {}, title),
      h("span", { class: "hint" }, [lecturer, evening(startsAt)].filter(Boolean).join(" · ")),
      yours(startsAt) && h("span", { class: "hint" }, yours(startsAt))),
    h("div", { class: "places" },
      h("meter", { min: 0, max: capacity, value: enrolled, "aria-label": `${enrolled} of ${capacity} places taken` }),
      h("span", { class: "hint" }, state)),
    h("button", {
      type: "button", class: own ? "small" : "small primary",
      "aria-label": `${label}: ${title}`, "data-key": lectureId, on: { click: act },
    }, label));
}

function askWho() {
  notice(SIGNS_IN ? "First sign in." : "First say who you are.");
  document.getElementById("who")?.focus();
}

/** The visitor's own page. */
export async function accountView(signal) {
  const history = h("tbody");
  const tickets = h("ul", { class: "tickets" });
  const card = h("section", { class: "card account", "aria-label": "Points" },
    h("span", { class: "hint" }, "You are ", h("strong", {}, account.user)),
    h("p", { class: "purse" }, balanceText(signal), " points"), chargeButtons(), chargeForm());
  const moreEntries = h("div");
  const moreTickets = h("div");
  const entries = new GrowingList(() => api.listPointHistories(account.user, { token: account.token, quiet: true }), { size: 50 });
  const paid = new GrowingList(() => api.listUserReservations(account.user), { size: 50, keeps: ({ status }) => ["PAID", "REFUNDED"].includes(status) });
  const show = async (list, rows, row, none, more, name) => {
    const { entries, isLast } = await list.load();
    fill(rows, entries.length ? entries.map(row) : none());
    fill(more, !isLast && moreButton(name, (event) => {
      list.grow();
      busily(event.currentTarget, load);
    }));
  };
  const load = () => Promise.all([
    show(entries, history, historyRow, () => h("tr", {}, h("td", { colspan: 4, class: "hint" }, "Nothing yet.")), moreEntries, "of the history"),
    show(paid, tickets, ticketRow, () => h("li", { class: "hint" }, "No tickets yet."), moreTickets, "tickets"),
  ]);
  await load();
  const reload = () => load().catch((problem) => {
    if (!(problem instanceof api.Problem)) throw problem;
  });
  account.addEventListener("change", reload, { signal });
  return [
    h("h1", {}, "Your account"),
    h("p", { class: "hint note" }, zoneWords()),
    h("div", { class: "columns" },
      h("div", {},
        h("section", { "aria-labelledby": "tickets" }, h("h2", { id: "tickets" }, "Tickets"), tickets, moreTickets),
        h("section", { "aria-labelledby": "history" },
          h("h2", { id: "history" }, "Points, newest first"),
          // Wider than a phone: the keyboard scrolls it too.
          h("div", { class: "card scroll", tabindex: "0", role: "region", "aria-labelledby": "history" }, h("table", {},
            h("thead", {}, h("tr", {}, ["When", "What", "Amount", "Balance"].map((name) => h("th", { scope: "col" }, name)))), history)),
          moreEntries)),
      h("aside", {}, card, h("section", { class: "card" }, whoForm(() => notice(`You are ${account.user} now.`))))),
  ];
}

function historyRow({ type, amount, balanceAfter, reference, createdAt }) {
  const what = { CHARGE: "Charged", REFUND: "Refunded", ADJUSTMENT: "Corrected", USE: reference ? "Paid for seats" : "Used" }[type];
  // Only the amount of a correction has a sign.
  const isAdded = type === "USE" ? false : amount >= 0;
  return h("tr", {},
    h("td", {}, moment(createdAt)),
    h("td", {}, what ?? type),
    h("td", { class: "number" }, `${isAdded ? "+" : "−"}${whole(Math.abs(amount))}`),
    h("td", { class: "number" }, whole(balanceAfter)));
}

function ticketRow({ date, seats, refundedSeats, amount, reservationId }) {
  const left = seats.filter((seat) => !refundedSeats.includes(seat));
  return h("li", { class: "card" },
    h("strong", {}, seatNames(left.length ? left : seats)),
    h("span", {}, date ? day(date) : ""),
    h("span", { class: "hint" }, points(amount)),
    // What was given back for them is in the history.
    refundedSeats.length > 0 && h("span", { class: "hint" }, left.length ? `${seatNames(refundedSeats)} given back` : "All given back"),
    h("code", { class: "hint" }, reservationId));
}
