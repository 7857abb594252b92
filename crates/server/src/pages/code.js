// The presale code: asked for if the server needs one, and kept in this tab for the visitor and the concert.

import { h } from "./dom.js";
import { t } from "./language.js";
import { session } from "./session.js";
import { moment } from "./time.js";

const REFUSALS = ["code-required", "code-invalid", "code-used-up"];

/** Whether the server refused a call because of the presale code. */
export const isAboutCode = ({ code }) => REFUSALS.includes(code);

const nameOf = (concertId, user) => `code:${concertId}:${user}`;

/** The code that the visitor gave last; undefined if there is none. */
export const codeOf = (concertId, user) => session.get(nameOf(concertId, user)) ?? undefined;

/** What the refusal means for the visitor. */
export function codeWords({ code, body }) {
  if (code === "code-used-up") return t("code.used");
  if (code === "code-invalid") return t("code.wrong");
  return body.codesUntil ? t("code.until", { at: moment(body.codesUntil) }) : t("code.needed");
}

/** A form for the code, with what the server said of the last one. `onCode` runs once the code is noted. */
export function codeForm(concertId, user, problem, onCode) {
  const isWrong = problem.code !== "code-required";
  const input = h("input", {
    id: "presale-code", name: "code", value: codeOf(concertId, user) ?? "", required: true, maxlength: 64, autocomplete: "off",
    autocapitalize: "off", spellcheck: "false", "aria-describedby": "presale-words", "aria-invalid": isWrong && "true",
  });
  const button = h("button", { class: "primary" }, t("useCode"));
  const use = (event) => {
    event.preventDefault();
    session.set(nameOf(concertId, user), input.value.trim());
    onCode(button);
  };
  return h("form", { class: "who", on: { submit: use } },
    h("label", { for: "presale-code" }, t("code")),
    h("div", { class: "pair" }, input, button),
    h("p", { class: isWrong ? "message bad" : "hint", id: "presale-words", role: "alert" }, codeWords(problem)));
}
