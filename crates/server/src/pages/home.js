// The first page, with concerts and lectures.

import { account, accountCard, busily, notice } from "./account.js";
import { whole } from "./amounts.js";
import * as api from "./api.js";
import { fill, h, repeat } from "./dom.js";
import { GrowingList, moreButton } from "./growing.js";
import { t } from "./language.js";
import { poster } from "./poster.js";
import { SIGNS_IN } from "./sign-in.js";
import { datesOf, evening, yours, zoneWords } from "./time.js";

export function homeView(concerts, signal) {
  return [
    h("section", { class: "hero" },
      h("div", {},
        h("h1", {}, t("heroOne"), h("br"), t("heroTwo")),
        h("p", { class: "lead" }, t("lead"))),
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
    fill(more, page.more && moreButton(t("more.concerts"), goOn));
    return cards;
  };
  show(first);
  return h("section", { "aria-labelledby": "concerts" },
    h("h2", { id: "concerts" }, t("concerts")),
    h("p", { class: "hint note" }, zoneWords()),
    shown ? [list, more] : h("p", { class: "card hint" }, t("noConcerts")));
}

function concertCard(concert, index) {
  return h("li", {},
    h("a", { class: "concert", href: `#/concerts/${concert.concertId}` },
      poster(concert, index),
      concert.soldOut && h("span", { class: "sold-out" }, t("soldOut")),
      h("span", { class: "caption" },
        h("strong", {}, concert.title),
        h("span", {}, `${concert.venue} · ${datesOf(concert)}`))));
}

function lectureSection(signal) {
  const list = h("ul", { class: "lectures card" }, h("li", { class: "hint" }, t("loading")));
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
      fill(list, entries.length ? entries.map((lecture) => lectureRow(lecture, mine.get(lecture.lectureId), load)) : h("li", {}, t("noLectures")));
      fill(more, !isLast && moreButton(t("more.lectures"), (event) => {
        pages.grow();
        busily(event.currentTarget, load);
      }));
    } catch (problem) {
      if (!(problem instanceof api.Problem)) throw problem;
      if (!shown) fill(list, h("li", {}, problem.words));
    }
  };
  signal.addEventListener("abort", repeat(3_000, load));
  return h("section", { "aria-labelledby": "lectures" }, h("h2", { id: "lectures" }, t("lectures")), list, more);
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
          notice(t(waits ? "leftList" : "gavePlace", { title }));
        } else {
          const { body } = await api.applyForLecture(account.user, lecture, isFull);
          notice(body.status === "WAITLISTED" ? t("gotNumber", { n: body.position, title }) : t("gotPlace", { n: body.seatNumber, title }));
        }
      } finally {
        await reload();
      }
    });
  };
  const label = t(waits ? "leaveList" : own ? "cancel" : isFull ? "join" : "apply");
  const free = t("placesFree", { free: whole(remaining), n: capacity });
  const waiting = waitlisted > 0 ? t("placesWaiting", { free, n: waitlisted }) : free;
  const state = waits ? t("haveNumber", { n: own.position }) : own ? t("havePlace") : waiting;
  return h("li", {},
    h("div", { class: "what" },
      h("strong", {}, title),
      h("span", { class: "hint" }, [lecturer, evening(startsAt)].filter(Boolean).join(" · ")),
      yours(startsAt) && h("span", { class: "hint" }, yours(startsAt))),
    h("div", { class: "places" },
      h("meter", { min: 0, max: capacity, value: enrolled, "aria-label": t("placesTaken", { taken: enrolled, n: capacity }) }),
      h("span", { class: "hint" }, state)),
    h("button", {
      type: "button", class: own ? "small" : "small primary",
      "aria-label": t("actionOf", { action: label, title }), "data-key": lectureId, on: { click: act },
    }, label));
}

function askWho() {
  notice(t(SIGNS_IN ? "firstSignIn" : "firstWho"));
  document.getElementById("who")?.focus();
}
