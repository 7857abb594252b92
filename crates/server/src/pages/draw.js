// The draw of a concert, as any visitor may check it: what was fixed when, the order, and the place of one entry.

import { account, busily } from "./account.js";
import * as api from "./api.js";
import { fill, h, repeat } from "./dom.js";
import { number, t } from "./language.js";
import { at } from "./place.js";
import { both, evening, zoneWords } from "./time.js";

const LOOK_EVERY = 2_000;

const instant = (value) => (value ? both(value) : t("unknown"));

const digits = (value) => (value ? h("code", {}, value) : t("unknown"));

export async function drawView(concert, signal) {
  const { concertId, title } = concert;
  const state = h("p", { class: "message", role: "status" });
  const facts = h("dl", { class: "facts" });
  const changes = h("div");
  const list = h("p");
  const back = h("p", {}, h("a", { href: `#/concerts/${concertId}` }, `← ${t("backToConcert")}`));
  const heading = h("h1", {}, t("drawTitle", { title }));
  let shown = "";
  let isDrawn = false;

  const show = (draw) => {
    const text = JSON.stringify(draw);
    if (text === shown) return;
    shown = text;
    isDrawn = draw.state === "drawn";
    fill(state, t(`draw.${draw.state}`));
    const rows = [
      ["commitment", digits(draw.commitment)], ["closedAt", instant(draw.closedAt)],
      ["entries", draw.entries == null ? t("unknown") : number(draw.entries)], ["entriesHash", digits(draw.entriesHash)],
      ["beaconName", draw.beaconName ?? t("none")], draw.beaconName && ["beaconAt", instant(draw.beaconAt)],
      draw.beaconName && ["beacon", digits(draw.beacon)], ["seed", digits(draw.seed)], ["drawnAt", instant(draw.drawnAt)],
    ];
    fill(facts, rows.filter(Boolean).map(([name, value]) => h("div", {}, h("dt", {}, t(name)), h("dd", {}, value))));
    const change = ({ at: when, field, before, after }) =>
      h("li", {}, t("changeLine", { at: evening(when), field, before: before ?? t("none"), after: after ?? t("none") }));
    fill(changes, draw.changes.length > 0 && [h("h2", {}, t("changes")), h("ul", {}, draw.changes.map(change))]);
    fill(list, draw.entries != null && h("a", { href: at(`/concerts/${concertId}/draw/entries`), download: "entries.csv" }, t("wholeList")));
  };

  try {
    show((await api.getDraw(concertId)).body);
  } catch (problem) {
    if (!(problem instanceof api.Problem) || problem.status !== 404) throw problem;
    return [heading, h("p", { class: "card" }, t("noDraw")), back];
  }
  const stop = repeat(LOOK_EVERY, async () => {
    if (isDrawn) return;
    try {
      const { body } = await api.getDraw(concertId);
      if (!signal.aborted) show(body);
    } catch (problem) {
      // Read again in two seconds.
      if (!(problem instanceof api.Problem)) throw problem;
    }
  });
  signal.addEventListener("abort", stop);
  if (signal.aborted) stop();
  document.title = `${t("drawPage")} · ${title} · onsale`;
  const verify = t("verifyText", { url: new URL(at(`/concerts/${concertId}/draw`), location.href).href }).split(/\x60/);
  return [
    heading, h("p", { class: "hint note" }, zoneWords()), state,
    h("div", { class: "card draw" }, facts, changes),
    await lookUp(concertId, () => shown && JSON.parse(shown)),
    h("section", { class: "card" }, h("p", { class: "hint" }, verify.map((text, index) => (index % 2 ? h("code", {}, text) : text))), list),
    back,
  ];
}

/** A form that looks an entry up. It begins with the visitor's own token id, if the visitor is in line. */
async function lookUp(concertId, draw) {
  const said = h("p", { class: "message", role: "status", hidden: true });
  const input = h("input", { id: "token-id", name: "tokenId", value: await ownTokenId(concertId), required: true, autocomplete: "off", spellcheck: "false", maxlength: 36 });
  const button = h("button", { class: "primary" }, t("lookUp"));
  const look = async () => {
    const words = await entryWords(concertId, input.value.trim(), draw());
    said.hidden = false;
    fill(said, words);
  };
  const submit = (event) => {
    event.preventDefault();
    busily(button, look);
  };
  return h("section", { class: "card", "aria-labelledby": "look-up" }, h("h2", { id: "look-up" }, t("ownEntry")),
    h("form", { class: "who", on: { submit } }, h("label", { for: "token-id" }, t("tokenId")), h("div", { class: "pair" }, input, button)), said);
}

async function entryWords(concertId, tokenId, draw) {
  try {
    const { body } = await api.getDrawEntry(concertId, tokenId);
    return body.place == null ? t("entryListed") : t("entryPlace", { n: body.place, all: draw.entries });
  } catch (problem) {
    if (!(problem instanceof api.Problem)) throw problem;
    if (problem.code === "draw-not-closed") return t("entryTooEarly");
    if (problem.status === 404 || problem.code === "invalid-request") return t("entryUnknown");
    throw problem;
  }
}

/** The id of the visitor's token in this concert; empty if there is none, or if it cannot be read now. */
async function ownTokenId(concertId) {
  if (!account.user) return "";
  try {
    const { body } = await api.listUserQueueTokens(account.user);
    return body.find((place) => place.concertId === concertId)?.tokenId ?? "";
  } catch (problem) {
    if (!(problem instanceof api.Problem)) throw problem;
    return "";
  }
}
