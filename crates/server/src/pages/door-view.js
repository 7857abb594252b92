// What the door shows: the verdict of the last scan, the camera, counts, the age of the lists, the last scans.

import { Problem } from "./api.js";
import { fill, h } from "./dom.js";
import { Camera, mayUseCamera } from "./door-camera.js";
import { clockTime, moment, t } from "./office-language.js";
import { badge, busily, figures, redraw } from "./office-parts.js";
import { wordsOf } from "./office-session.js";
import { at } from "./place.js";

/** Milliseconds after which the age of the lists is a warning: then another door may have admitted many of these tickets. */
const OLD = 60_000;

/** Scans in the list at the end. */
const SHOWN = 10;

const kindOf = (verdict) => (verdict === "ok" ? "good" : verdict === "same-seat" || verdict === "unknown" ? "warm" : "bad");

function ageOf(milliseconds) {
  const seconds = Math.round(milliseconds / 1_000);
  if (seconds < 120) return t("doorSeconds", { n: seconds });
  return seconds < 7_200 ? t("doorMinutes", { n: Math.round(seconds / 60) }) : t("doorHours", { n: Math.round(seconds / 3_600) });
}

/** Why neither the camera nor the kept page works at this address; false if they do. */
export const insecure = () =>
  !globalThis.isSecureContext && h("div", { class: "banner warm" }, h("strong", {}, t("doorInsecure")), " ", t("doorInsecureText"));

export class View {
  /** A refusal of the server that stays until it passes. */
  problem = null;
  #door;
  #panel = h("section", { class: "gate-verdict", role: "status", "aria-live": "assertive", "aria-label": t("door") }, h("h2", {}, t("doorWait")));
  #age = h("p", { class: "gate-age" });
  #state = h("div", { role: "status" });
  #counts = h("div");
  #later = h("div");
  #scans = h("section", { class: "card" });
  #heading = h("div");
  #video = h("video", { class: "gate-video", muted: true, playsinline: true, "aria-label": t("doorCamera"), hidden: true });
  #cameraWords = h("p", { class: "message bad", role: "alert", hidden: true });
  #cameraButton = h("button", { type: "button", class: "wide", on: { click: (event) => busily(event.currentTarget, () => this.#toggle()) } }, t("doorCameraOn"));
  #camera = new Camera(this.#video, (text) => this.#door.scan(text));
  #clock = 0;

  constructor(door) {
    this.#door = door;
    const code = h("input", { id: "code", name: "code", autocomplete: "off", autocapitalize: "off", spellcheck: "false", maxlength: 400 });
    const submit = async (event) => {
      event.preventDefault();
      const text = code.value;
      if (!text.trim()) return code.focus();
      code.value = "";
      code.focus();
      return door.scan(text);
    };
    const device = h("input", { id: "device", name: "device", value: door.device, maxlength: 40, autocomplete: "off", "aria-describedby": "device-hint" });
    device.addEventListener("change", () => device.value.trim() && door.rename(device.value.trim()));
    const maySee = mayUseCamera();
    this.element = h("div", { class: "gate" }, this.#heading,
      insecure(), this.#age, this.#state, this.#panel,
      h("section", { class: "card gate-input" }, this.#video, maySee && this.#cameraButton, this.#cameraWords,
        h("form", { class: "gate-form", on: { submit } }, h("label", { for: "code" }, t("doorCode")), code, h("button", { class: "primary wide" }, t("doorCheck")))),
      this.#counts, this.#later, this.#scans,
      h("details", { class: "card" }, h("summary", {}, t("doorDevice")), h("label", { for: "device" }, t("doorDevice")), device,
        h("p", { class: "hint", id: "device-hint" }, t("doorDevice.hint"))),
      h("p", { class: "hint" }, h("a", { href: "#/", on: { click: (event) => this.#other(event) } }, t("doorOther")), " · ",
        h("a", { href: at("/assets/licences.txt") }, t("doorLicences"))));
    this.#clock = setInterval(() => this.#showState(), 1_000);
  }

  close() {
    clearInterval(this.#clock);
    if (this.#camera.isOn) this.#camera.stop();
  }

  checking() {
    this.#panel.className = "gate-verdict";
    fill(this.#panel, h("h2", {}, t("doorChecking")));
  }

  /** Shows what a scan means. */
  verdict({ verdict, seat, at: here, firstAt, firstDevice, isLocal }) {
    const details = [t(`doorText.${verdict}`)];
    if (verdict === "twice" && firstAt) details.push(t("doorFirst", { at: clockTime(firstAt), device: firstDevice ?? "–" }));
    else if (verdict === "twice" && here) details.push(t("doorFirstHere", { at: clockTime(here) }));
    this.#panel.className = `gate-verdict ${kindOf(verdict)}`;
    this.#panel.dataset.verdict = verdict;
    fill(this.#panel, h("h2", {}, t(`doorVerdict.${verdict}`)), seat != null && h("p", { class: "gate-seat" }, t("doorSeat", { n: String(seat) })),
      details.map((words) => h("p", {}, words)), isLocal && h("p", { class: "hint" }, t("doorLocal")));
    navigator.vibrate?.(verdict === "ok" ? 80 : [200, 80, 200]);
    this.show();
  }

  /** Shows counts, lists and scans as they are now. */
  show() {
    const { lists, scans, waiting } = this.#door;
    const { title, venue, startsAt } = lists.info ?? {};
    fill(this.#heading, h("h1", { tabindex: "-1" }, title ?? t("door")), startsAt && h("p", { class: "hint" }, `${venue ?? ""} · ${moment(startsAt)}`));
    const admitted = scans.filter(({ verdict, undone }) => verdict === "ok" && !undone).length;
    const refused = scans.filter(({ verdict }) => verdict !== "ok").length;
    fill(this.#counts, figures([[t("doorHere"), admitted], [t("doorTotal"), lists.isKnown ? lists.admitted : null], [t("doorRefused"), refused],
      [t("doorWaiting"), waiting, waiting > 0 ? "warm" : ""]]));
    const contradicted = scans.filter(({ isContradiction }) => isContradiction);
    fill(this.#later, contradicted.length > 0 && h("section", { class: "card" }, h("h2", {}, t("doorLater")), h("p", { class: "hint" }, t("doorLaterText")),
      h("ul", { class: "gate-scans" }, contradicted.map((scan) => this.#line(scan)))));
    const last = scans.slice(-SHOWN).reverse();
    fill(this.#scans, h("h2", {}, t("doorScans")), last.length === 0 && h("p", { class: "empty" }, t("doorNoScans")),
      h("ul", { class: "gate-scans" }, last.map((scan) => this.#line(scan))));
    this.#showState();
  }

  #line(scan) {
    const { verdict, seat, scannedAt, checkInId, undone, status } = scan;
    const mayUndo = verdict === "ok" && checkInId && !undone && this.#door.isOnline;
    const undo = (event) => busily(event.currentTarget, async () => {
      try {
        await this.#door.undo(scan);
        this.#say(t("doorUndone", { n: String(seat) }));
      } catch (problem) {
        if (!(problem instanceof Problem)) throw problem;
        this.#say(t("doorUndoFailed", { why: wordsOf(problem) }));
      }
    });
    return h("li", {}, h("span", {}, clockTime(scannedAt)), badge(t(`doorVerdict.${verdict}`), kindOf(verdict)), seat != null && h("span", {}, t("doorSeat", { n: String(seat) })),
      !status && h("span", { class: "hint" }, t("doorWaiting")),
      mayUndo && h("button", { type: "button", class: "small", "data-key": `undo-${checkInId}`, on: { click: undo } }, t("doorUndo", { n: String(seat) })));
  }

  #say(words) {
    fill(document.getElementById("said"), words);
    this.#panel.className = "gate-verdict";
    fill(this.#panel, h("h2", {}, words));
  }

  #showState() {
    const { lists, isOnline } = this.#door;
    const { age } = lists;
    const words = age === null ? t("doorListsNone") : t("doorLists", { age: ageOf(age) });
    const kind = age === null || age > OLD ? "warm" : "good";
    redraw(this.#age, [words, kind], () => badge(words, kind));
    redraw(this.#state, [isOnline, this.problem, lists.isKnown], () => [
      !isOnline && h("div", { class: "banner warm" }, h("strong", {}, t("doorOffline")), " ", t(lists.isKnown ? "doorOfflineText" : "doorNoLists")),
      this.problem && h("p", { class: "message bad" }, this.problem)]);
  }

  async #toggle() {
    this.#cameraWords.hidden = true;
    if (this.#camera.isOn) {
      this.#camera.stop();
    } else {
      try {
        await this.#camera.start();
      } catch (error) {
        this.#cameraWords.hidden = false;
        fill(this.#cameraWords, t("doorCameraNone", { why: error.name ?? String(error) }));
      }
    }
    this.#video.hidden = !this.#camera.isOn;
    fill(this.#cameraButton, t(this.#camera.isOn ? "doorCameraOff" : "doorCameraOn"));
  }

  #other(event) {
    event.preventDefault();
    this.#door.leave();
  }
}
