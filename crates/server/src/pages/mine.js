// The visitor's own page: points, running holds, places in line, tickets, lectures, and the history of points.

import { account, balanceText, busily, chargeButtons, chargeForm, notice, whoForm } from "./account.js";
import { points, seatNames, whole } from "./amounts.js";
import * as api from "./api.js";
import { fill, h, repeat } from "./dom.js";
import { GrowingList, moreButton } from "./growing.js";
import { t } from "./language.js";
import { clock, kept, session } from "./session.js";
import { day, evening, moment, time, yours, zoneWords } from "./time.js";

/** Milliseconds between two reads of what changes by itself. */
const LOOK_EVERY = 3_000;

export async function accountView(signal) {
  const history = h("tbody");
  const tickets = h("ul", { class: "tickets" });
  const card = h("section", { class: "card account", "aria-label": t("pointsTitle") },
    h("span", { class: "hint" }, t("youAre"), h("strong", {}, account.user)),
    h("p", { class: "purse" }, balanceText(signal), t("pointsUnit")), chargeButtons(), chargeForm());
  const moreEntries = h("div");
  const moreTickets = h("div");
  const entries = new GrowingList(() => api.listPointHistories(account.user, { token: account.token, quiet: true }), { size: 50 });
  const paid = new GrowingList(() => api.listUserReservations(account.user), { size: 50, keeps: ({ status }) => ["PAID", "REFUNDED"].includes(status) });
  let codes = new Map();
  const show = async (list, rows, row, none, more, words) => {
    const { entries, isLast } = await list.load();
    fill(rows, entries.length ? entries.map(row) : none());
    fill(more, !isLast && moreButton(words, (event) => {
      list.grow();
      busily(event.currentTarget, load);
    }));
  };
  const load = async () => {
    codes = await ticketsBySeat();
    await Promise.all([
      show(entries, history, historyRow, () => h("tr", {}, h("td", { colspan: 4, class: "hint" }, t("nothingYet"))), moreEntries, t("more.history")),
      show(paid, tickets, (ticket) => ticketRow(ticket, codes), () => h("li", { class: "hint" }, t("noTickets")), moreTickets, t("more.tickets")),
    ]);
  };
  const running = new Running(signal);
  await Promise.all([load(), running.load()]);
  const reload = () => load().catch(ignore);
  account.addEventListener("change", reload, { signal });
  const stop = repeat(LOOK_EVERY, () => running.load().catch(ignore));
  signal.addEventListener("abort", stop);
  if (signal.aborted) stop();
  return [
    h("h1", {}, t("yourAccount")),
    h("p", { class: "hint note" }, zoneWords()),
    h("div", { class: "columns" },
      h("div", {},
        running.elements,
        part("tickets", t("tickets"), tickets, moreTickets),
        part("history", t("history"),
          // Wider than a phone: the keyboard scrolls it too.
          h("div", { class: "card scroll", tabindex: "0", role: "region", "aria-labelledby": "history" }, h("table", {},
            h("thead", {}, h("tr", {}, ["when", "what", "amount", "balance"].map((name) => h("th", { scope: "col" }, t(name))))), history)),
          moreEntries)),
      h("aside", {}, card, h("section", { class: "card" }, whoForm(() => notice(t("youAreNow", { user: account.user })))))),
  ];
}

const part = (id, title, ...children) => h("section", { "aria-labelledby": id }, h("h2", { id }, title), children);

/** The next reading makes it up; what is shown stays. */
function ignore(problem) {
  if (!(problem instanceof api.Problem)) throw problem;
}

/** The body of a list; empty if this server does not have it. */
async function bodyOf(call) {
  try {
    return (await call).body;
  } catch (problem) {
    if (problem instanceof api.Problem && problem.status === 404) return [];
    throw problem;
  }
}

const seatOf = ({ performanceId }, seat) => `${performanceId} ${seat}`;

/** The tickets of the visitor by performance and seat. Of a seat whose ticket was replaced, the first one listed is the new one. */
async function ticketsBySeat() {
  const found = new Map();
  for (const ticket of await bodyOf(api.listUserTickets(account.user))) {
    const seat = seatOf(ticket, ticket.seat);
    if (!found.has(seat)) found.set(seat, ticket);
  }
  return found;
}

/** What runs by itself: holds, places in line, lectures and waiting lists. */
class Running {
  #holds = h("ul", { class: "tickets" });
  #lines = h("ul", { class: "tickets" });
  #lectures = h("ul", { class: "tickets" });
  #lists = h("ul", { class: "tickets" });
  #holdPart = part("holds", t("holds"), this.#holds);
  #listPart = part("waitlists", t("waitlists"), this.#lists);
  #titles = new Map();
  #shown = "";
  #signal;

  constructor(signal) {
    this.#signal = signal;
    this.elements = [this.#holdPart, part("lines", t("lines"), this.#lines), part("own-lectures", t("yourLectures"), this.#lectures), this.#listPart];
  }

  async load() {
    const { user } = account;
    const [reservations, places, applied, lists] = await Promise.all([
      bodyOf(api.listUserReservations(user)), bodyOf(api.listUserQueueTokens(user)),
      api.listLectureApplications(user), bodyOf(api.listUserWaitlists(user)),
    ]);
    if (places.some(({ concertId }) => !this.#titles.has(concertId))) await this.#readTitles(places);
    if (this.#signal.aborted || user !== account.user) return;
    if (places[0]) clock.learn(places[0].asOf);
    const held = reservations.filter(({ status, heldUntil }) => status === "HELD" && clock.secondsUntil(heldUntil) > 0);
    const lectures = applied.body.applications.filter(({ status }) => status !== "WAITLISTED");
    const shown = JSON.stringify([held, places.map(({ asOf, ...place }) => place), lectures, lists]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#holdPart.hidden = held.length === 0;
    this.#listPart.hidden = lists.length === 0;
    fill(this.#holds, held.map((hold) => holdRow(hold, places)));
    fill(this.#lines, places.length ? places.map((place) => this.#lineRow(place)) : h("li", { class: "hint" }, t("noLines")));
    fill(this.#lectures, lectures.length ? lectures.map((lecture) => lectureRow(lecture, t("havePlace"))) : h("li", { class: "hint" }, t("noYourLectures")));
    fill(this.#lists, lists.map((entry) => lectureRow(entry, t("haveNumber", { n: entry.position }))));
  }

  async #readTitles(places) {
    const missing = () => places.some(({ concertId }) => !this.#titles.has(concertId));
    for (let page = await api.listConcerts(); page; page = missing() && page.more && (await page.more())) {
      for (const { concertId, title } of page.body) this.#titles.set(concertId, title);
    }
    // A concert that is no longer listed is not searched for again.
    for (const { concertId } of places) if (!this.#titles.has(concertId)) this.#titles.set(concertId, t("unknownConcert"));
  }

  #lineRow(place) {
    const { concertId, status, position, activeUntil } = place;
    const words = status === "ACTIVE" ? t("line.ACTIVE", { at: time(activeUntil) })
      : status === "EARLY" ? (position == null ? t("line.EARLY") : t("line.earlyAt", { n: position })) : t("line.WAITING", { n: position });
    return h("li", { class: "card" },
      h("strong", {}, this.#titles.get(concertId)), h("span", {}, words), goOn(place, concertId, t("goOn"), this.#titles.get(concertId)));
  }
}

/** A link to a concert. This tab then has the place, although another device took it. */
function goOn(place, concertId, words, title) {
  const take = () => place && session.set(`token:${concertId}:${account.user}`, place.token);
  return h("a", { href: `#/concerts/${concertId}`, "aria-label": title ? t("actionOf", { action: words, title }) : words, "data-key": concertId, on: { click: take } }, words);
}

function holdRow(hold, places) {
  const place = placeOf(hold, places);
  return h("li", { class: "card" },
    h("strong", {}, seatNames(hold.seats)), h("span", {}, hold.date ? day(hold.date) : ""), h("span", { class: "hint" }, points(hold.amount)),
    h("span", {}, t("heldUntil", { at: time(hold.heldUntil) })), place && goOn(place, place.concertId, t("goPay"), seatNames(hold.seats)));
}

/** The running turn to which a hold belongs: of the only concert, or of the one in which this browser has seen the performance. */
function placeOf({ performanceId }, places) {
  const active = places.filter(({ status }) => status === "ACTIVE");
  if (active.length < 2) return active[0];
  return active.find(({ concertId }) => kept.get(`performances:${concertId}`)?.[performanceId]);
}

function lectureRow({ title, startsAt }, words) {
  return h("li", { class: "card" },
    h("strong", {}, title), h("span", {}, evening(startsAt)), yours(startsAt) && h("span", { class: "hint" }, yours(startsAt)), h("span", { class: "hint" }, words));
}

function historyRow({ type, amount, balanceAfter, reference, createdAt }) {
  const kind = type === "USE" && reference ? "PAID" : type;
  // Only the amount of a correction has a sign.
  const isAdded = type === "USE" ? false : amount >= 0;
  return h("tr", {},
    h("td", {}, moment(createdAt)),
    h("td", {}, t(`entry.${kind}`)),
    h("td", { class: "number" }, `${isAdded ? "+" : "−"}${whole(Math.abs(amount))}`),
    h("td", { class: "number" }, whole(balanceAfter)));
}

function ticketRow(reservation, codes) {
  const { date, seats, refundedSeats, amount, reservationId } = reservation;
  const left = seats.filter((seat) => !refundedSeats.includes(seat));
  const own = left.map((seat) => codes.get(seatOf(reservation, seat))).filter(Boolean);
  const code = ({ seat, status, code: text }) => h("li", {},
    h("span", {}, t("ticketSeat", { seat: String(seat), state: t(`ticket.${status}`) })), status !== "VOID" && h("code", {}, text));
  return h("li", { class: "card" },
    h("strong", {}, seatNames(left.length ? left : seats)),
    h("span", {}, date ? day(date) : ""),
    h("span", { class: "hint" }, points(amount)),
    // What was given back for them is in the history.
    refundedSeats.length > 0 && h("span", { class: "hint" }, left.length ? t("someGivenBack", { names: seatNames(refundedSeats) }) : t("allGivenBack")),
    h("code", { class: "hint" }, reservationId),
    own.length > 0 && h("details", { class: "codes" }, h("summary", { "data-key": reservationId }, t("ticketCodes")), h("ul", { class: "plain" }, own.map(code))));
}
