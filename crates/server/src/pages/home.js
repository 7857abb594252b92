// The first page, with concerts and lectures, and the page about the visitor's own points and tickets.

import { account, accountCard, balanceText, busily, chargeButtons, chargeForm, notice, whoForm } from "./account.js";
import * as api from "./api.js";
import { day, evening, fill, h, moment, plural, points, repeat, seatNames, whole } from "./dom.js";
import { poster } from "./poster.js";
import { randomKey } from "./session.js";

export function homeView(concerts, signal) {
  return [
    h("section", { class: "hero" },
      h("div", {},
        h("h1", {}, "First come,", h("br"), "first served."),
        h("p", { class: "lead" },
          "A booking server you can try by hand. Charge points, take a place in a lecture, or stand in line for a concert and hold your seats.")),
      accountCard(signal)),
    h("section", { "aria-labelledby": "concerts" },
      h("h2", { id: "concerts" }, "Concerts"),
      concerts.length ? h("ul", { class: "posters" }, concerts.map(concertCard)) : empty("concerts")),
    lectureSection(signal),
  ];
}

function empty(what) {
  return h("p", { class: "card hint" }, `No ${what} yet. Start the server with --demo, or make some with the admin calls of the API.`);
}

function dates({ firstDate, lastDate }) {
  if (!firstDate) return "no dates yet";
  return firstDate === lastDate ? day(firstDate) : `${day(firstDate)} – ${day(lastDate)}`;
}

function concertCard(concert, index) {
  return h("li", {},
    h("a", { class: "concert", href: `#/concerts/${concert.concertId}` },
      poster(concert, index),
      h("span", { class: "caption" },
        h("strong", {}, concert.title),
        h("span", {}, `${concert.venue} · ${dates(concert)}`))));
}

function lectureSection(signal) {
  const list = h("ul", { class: "lectures card" }, h("li", { class: "hint" }, "Loading…"));
  let shown = "";
  const load = async () => {
    try {
      const [lectures, applied] = await Promise.all([
        api.listLectures(),
        account.user ? api.listLectureApplications(account.user) : { body: { applications: [] } },
      ]);
      const mine = new Set(applied.body.applications.map(({ lectureId }) => lectureId));
      // Rows are made anew only where something changed: a button that has the focus keeps it.
      const text = JSON.stringify([lectures.body, [...mine]]);
      if (text === shown || signal.aborted) return;
      shown = text;
      const focused = document.activeElement?.closest?.(".lectures li")?.dataset.id;
      fill(list, lectures.body.length ? lectures.body.map((lecture) => lectureRow(lecture, mine.has(lecture.lectureId), load)) : h("li", {}, "No lectures yet."));
      if (focused) list.querySelector(`[data-id="${focused}"] button`)?.focus();
    } catch (problem) {
      if (!(problem instanceof api.Problem)) throw problem;
      if (!shown) fill(list, h("li", {}, problem.words));
    }
  };
  signal.addEventListener("abort", repeat(3_000, load));
  return h("section", { "aria-labelledby": "lectures" }, h("h2", { id: "lectures" }, "Lectures"), list);
}

function lectureRow(lecture, isMine, reload) {
  const { lectureId, title, lecturer, startsAt, capacity, enrolled, remaining } = lecture;
  const act = (event) => {
    if (!account.user) return askWho();
    busily(event.currentTarget, async () => {
      try {
        if (isMine) {
          await api.persist(withKey((key) => api.cancelLectureApplication(account.user, lectureId, key)));
          notice(`Your place in “${title}” is free again.`);
        } else {
          const { body } = await api.persist(withKey((key) => api.applyForLecture(account.user, lectureId, key)));
          notice(`You have place ${body.seatNumber} in “${title}”.`);
        }
      } finally {
        await reload();
      }
    });
  };
  const label = isMine ? "Cancel" : remaining === 0 ? "Full" : "Apply";
  return h("li", { "data-id": lectureId },
    h("div", { class: "what" },
      h("strong", {}, title),
      h("span", { class: "hint" }, [lecturer, evening(startsAt)].filter(Boolean).join(" · "))),
    h("div", { class: "places" },
      h("meter", { min: 0, max: capacity, value: enrolled, "aria-label": `${enrolled} of ${capacity} places taken` }),
      h("span", { class: "hint" }, isMine ? "You have a place" : `${whole(remaining)} of ${plural(capacity, "place")} free`)),
    h("button", {
      type: "button", class: isMine ? "small" : "small primary", disabled: !isMine && remaining === 0,
      "aria-label": `${label}: ${title}`, on: { click: act },
    }, label));
}

/** A request that keeps one key however often it is sent. */
function withKey(request) {
  const key = randomKey();
  return () => request(key);
}

function askWho() {
  notice("First say who you are.");
  document.getElementById("who")?.focus();
}

/** The visitor's own page. */
export async function accountView(signal) {
  const history = h("tbody");
  const tickets = h("ul", { class: "tickets" });
  const card = h("section", { class: "card account", "aria-label": "Points" },
    h("span", { class: "hint" }, "You are ", h("strong", {}, account.user)),
    h("p", { class: "purse" }, balanceText(signal), " points"), chargeButtons(), chargeForm());
  const load = async () => {
    const [entries, reservations] = await Promise.all([
      api.listPointHistories(account.user, { token: account.token, quiet: true }),
      api.listUserReservations(account.user),
    ]);
    fill(history, entries.body.map(historyRow));
    if (!entries.body.length) fill(history, h("tr", {}, h("td", { colspan: 4, class: "hint" }, "Nothing yet.")));
    const paid = reservations.body.filter(({ status }) => status === "PAID");
    fill(tickets, paid.map(ticketRow));
    if (!paid.length) fill(tickets, h("li", { class: "hint" }, "No tickets yet."));
  };
  await load();
  const reload = () => load().catch((problem) => {
    if (!(problem instanceof api.Problem)) throw problem;
  });
  account.addEventListener("change", reload, { signal });
  return [
    h("h1", {}, "Your account"),
    h("div", { class: "columns" },
      h("div", {},
        h("section", { "aria-labelledby": "tickets" }, h("h2", { id: "tickets" }, "Tickets"), tickets),
        h("section", { "aria-labelledby": "history" },
          h("h2", { id: "history" }, "Points, newest first"),
          h("div", { class: "card scroll" }, h("table", {},
            h("thead", {}, h("tr", {}, ["When", "What", "Amount", "Balance"].map((name) => h("th", { scope: "col" }, name)))), history)))),
      h("aside", {}, card, h("section", { class: "card" }, whoForm(() => notice(`You are ${account.user} now.`))))),
  ];
}

function historyRow({ type, amount, balanceAfter, reference, createdAt }) {
  const isCharge = type === "CHARGE";
  return h("tr", {},
    h("td", {}, moment(createdAt)),
    h("td", {}, isCharge ? "Charged" : reference ? "Paid for seats" : "Used"),
    h("td", { class: "number" }, `${isCharge ? "+" : "−"}${whole(amount)}`),
    h("td", { class: "number" }, whole(balanceAfter)));
}

function ticketRow({ date, seats, amount, reservationId }) {
  return h("li", { class: "card" },
    h("strong", {}, seatNames(seats)),
    h("span", {}, date ? day(date) : ""),
    h("span", { class: "hint" }, points(amount)),
    h("code", { class: "hint" }, reservationId));
}
