// Forms: fields with labels, hints and errors in the language of the page, and what a server refuses next to its field.

import { fill, h } from "./dom.js";
import { Problem } from "./office-api.js";
import { fromField, t, toField, zone } from "./office-language.js";
import { notify } from "./office-parts.js";
import { wordsOf } from "./office-session.js";

let made = 0;

/**
 * A field. `kind` is `text`, `long`, `number`, `moment`, `choice` (with `options`: `[value, words]`), `check`. `read` returns
 * its value: a string, a number, an instant, a truth, or null if it is empty.
 */
export function field({ name, label, kind = "text", value = null, hint, required = false, min, max, options = [], length = 200, search = false, wide = false, pattern }) {
  const id = `f-${name.replace(/\W/g, "-")}-${(made += 1)}`;
  const hints = [hint, kind === "moment" ? t("zoneHint", { zone }) : null].filter(Boolean).join(" ");
  const described = [hints && `${id}-hint`, `${id}-error`].filter(Boolean).join(" ");
  const common = { id, name, "data-key": name, "aria-describedby": described, "aria-required": required ? "true" : false };
  const input = make(kind, { common, value, options, min, max, length, search });
  const error = h("p", { class: "wrong", id: `${id}-error`, hidden: true });
  const title = h("label", { for: id }, label, required && h("span", { class: "must" }, ` ${t("required")}`));
  const element = h("div", { class: `field ${kind}${wide ? " wide" : ""}` },
    kind === "check" ? [input, title] : [title, input], hints && h("p", { class: "hint", id: `${id}-hint` }, hints), error);
  const show = (words) => {
    error.hidden = !words;
    fill(error, words ?? "");
    if (words) input.setAttribute("aria-invalid", "true");
    else input.removeAttribute("aria-invalid");
  };
  const read = () => valueOf(kind, input);
  const check = () => {
    const words = wrong({ kind, input, value: read(), required, min, max, length, pattern });
    show(words);
    return !words;
  };
  input.addEventListener("input", () => error.hidden || show(null));
  return { name, label, element, input, read, check, show };
}

function make(kind, { common, value, options, min, max, length, search }) {
  if (kind === "long") return h("textarea", { ...common, rows: 2, maxlength: length, value: value ?? "" });
  if (kind === "choice") {
    const select = h("select", common, options.map(([key, words]) => h("option", { value: key, selected: String(key) === String(value ?? "") }, words)));
    return select;
  }
  if (kind === "check") return h("input", { ...common, type: "checkbox", checked: Boolean(value) });
  if (kind === "number") return h("input", { ...common, type: "number", inputmode: "numeric", step: 1, min, max, value: value ?? "" });
  if (kind === "moment") return h("input", { ...common, type: "datetime-local", value: toField(value) });
  return h("input", { ...common, type: search ? "search" : "text", maxlength: length, autocomplete: "off", value: value ?? "" });
}

function valueOf(kind, input) {
  if (kind === "check") return input.checked;
  if (kind === "number") return input.value === "" ? null : input.valueAsNumber;
  if (kind === "moment") return fromField(input.value);
  return input.value.trim() === "" ? null : input.value.trim();
}

function wrong({ kind, input, value, required, min, max, length, pattern }) {
  if (input.validity?.badInput) return kind === "moment" ? t("wrong.moment") : t("wrong.number");
  if (value == null) return required ? t("wrong.missing") : null;
  if (kind === "number") {
    if (!Number.isInteger(value)) return t("wrong.number");
    if ((min != null && value < min) || (max != null && value > max)) return t("wrong.range", { min: min ?? 0, max: max ?? 0 });
  }
  if (typeof value === "string" && [...value].length > length) return t("wrong.long", { max: length });
  if (pattern && !pattern.test(value)) return t("wrong.form");
  return null;
}

/** A message of the server about a field, in the language of the page if its form is known. */
function translated(message) {
  const range = /^must be (-?[\d,]+) to ([\d,]+)$/.exec(message);
  if (range) return t("wrong.range", { min: Number(range[1].replace(/,/g, "")), max: Number(range[2].replace(/,/g, "")) });
  if (/^(is missing|is required)/.test(message)) return t("wrong.missing");
  if (message === "must not be before from") return t("wrong.order");
  if (message === "the sale must close after it opens") return t("wrong.hours");
  if (message === "is a seat of another section") return t("wrong.overlap");
  return t("wrong.other", { message });
}

/**
 * A form. `fields` may contain rows (elements) between fields. `onSubmit` gets the values by name; what it throws is shown.
 * `extra` are further parts with `check` and `show` of their own, such as an editor of sections.
 */
export function form({ fields, submit, onSubmit, kind = "primary", onCancel, extra = [] }) {
  const real = fields.filter(Boolean);
  const inputs = [...real.filter(({ read }) => read), ...extra];
  const message = h("p", { class: "message bad", role: "alert", hidden: true });
  const send = h("button", { class: kind }, submit);
  const cancel = onCancel && h("button", { type: "button", on: { click: onCancel } }, t("cancelForm"));
  const say = (words) => {
    message.hidden = !words;
    fill(message, words ?? "");
  };
  const refused = (problem) => {
    const rest = [];
    for (const { field: path, message: words } of problem.body.errors ?? []) {
      const owner = inputs.find(({ name }) => path === name || path.startsWith(`${name}.`));
      if (owner) owner.show(translated(words), path);
      else rest.push(`${path}: ${words}`);
    }
    const known = problem.code === "invalid-request" && problem.body.errors?.length && !rest.length;
    say([known ? t("wrong.some") : wordsOf(problem), rest.join(" "), problem.isOpen && t("sendAgain")].filter(Boolean).join(" "));
    (element.querySelector('[aria-invalid="true"]') ?? send).focus();
  };
  const run = async (event) => {
    event.preventDefault();
    if (send.getAttribute("aria-busy") === "true") return;
    say(null);
    const isFit = inputs.map((one) => one.check()).every(Boolean);
    if (!isFit) {
      say(t("wrong.some"));
      element.querySelector('[aria-invalid="true"]')?.focus();
      return;
    }
    send.setAttribute("aria-busy", "true");
    try {
      await onSubmit(Object.fromEntries(inputs.map((one) => [one.name, one.read()])));
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      refused(problem);
    } finally {
      send.removeAttribute("aria-busy");
    }
  };
  const element = h("form", { class: "form", novalidate: true, on: { submit: run } },
    real.map((one) => one.element ?? one), extra.map((one) => one.element), message, h("div", { class: "row actions" }, send, cancel));
  return element;
}

/** The fields of `values` that differ from `before`; compared as they are sent. */
export function changed(before, values) {
  const same = (one, other) => JSON.stringify(one ?? null) === JSON.stringify(other ?? null);
  const isSame = (name) => same(before[name], values[name]) || sameInstant(before[name], values[name]);
  return Object.fromEntries(Object.entries(values).filter(([name]) => !isSame(name)));
}

/** The fields that have a value, for something new. */
export const given = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value != null));

/** Fields show whole minutes: an instant with seconds that was not touched is unchanged. */
function sameInstant(one, other) {
  return typeof one === "string" && typeof other === "string" && /T.*Z$/.test(one) && /T.*Z$/.test(other) && toField(one) === toField(other);
}

/** Runs a change that has no form, and shows what went wrong. Returns its answer, or undefined if it was refused. */
export async function attempt(task) {
  try {
    return await task();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    notify([wordsOf(problem), problem.isOpen && t("sendAgain")].filter(Boolean).join(" "), "bad");
    return undefined;
  }
}
