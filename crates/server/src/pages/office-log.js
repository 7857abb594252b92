// The admin log with filters.

import { fill, h } from "./dom.js";
import { list, Problem, query } from "./office-api.js";
import { has, second, t } from "./office-language.js";
import { announce, growing, table, viewLink } from "./office-parts.js";
import { wordsOf } from "./office-session.js";
import { at } from "./place.js";

const filter = { actor: "", action: "", subject: "" };

const PAGES = { concert: "concerts", performance: "performances", lecture: "lectures", user: "users" };

export async function show(page) {
  const entries = growing({ first: () => list(`/admin/log${query({ ...filter, limit: 50 })}`), show: logTable });
  const message = h("p", { class: "message bad", role: "alert", hidden: true });
  const load = async () => {
    try {
      announce(t("found", { n: (await entries.load()).length }));
      message.hidden = true;
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      message.hidden = false;
      fill(message, problem.code === "invalid-request" ? t("wrong.filter") : wordsOf(problem));
    }
  };
  page.show([page.head(t("menu.log")), await filterForm(load), message, entries.element], entries.load, 10_000);
  await load();
}

/** The actions that the log knows, from the description of the API. */
async function actionsOf() {
  try {
    const description = await (await fetch(at("/openapi.json"))).json();
    return description.paths["/admin/log"].get.parameters.find(({ name }) => name === "action").schema.enum ?? [];
  } catch {
    return [];
  }
}

async function filterForm(load) {
  const names = await actionsOf();
  let timer = 0;
  const read = (event) => {
    filter[event.target.name] = event.target.value.trim();
    clearTimeout(timer);
    timer = setTimeout(load, 300);
  };
  const input = (name, hint) => h("div", { class: "field" }, h("label", { for: `log-${name}` }, t(`log.${name}`)),
    h("input", { id: `log-${name}`, name, "data-key": `log-${name}`, value: filter[name], autocomplete: "off", maxlength: 200, placeholder: hint }));
  const select = h("select", { id: "log-action", name: "action", "data-key": "log-action" },
    h("option", { value: "" }, t("log.any")), names.map((name) => h("option", { value: name, selected: name === filter.action }, actionWords(name))));
  return h("form", { class: "search", role: "search", on: { input: read, submit: (event) => event.preventDefault() } },
    input("actor", "front desk"), h("div", { class: "field" }, h("label", { for: "log-action" }, t("log.action")), select), input("subject", "user:42"));
}

const actionWords = (name) => (has(`action.${name}`) ? t(`action.${name}`) : name);

function subjectLink(subject) {
  const [kind, id] = subject.split(":");
  const words = `${has(`subject.${kind}`) ? t(`subject.${kind}`) : kind} ${id}`;
  return PAGES[kind] ? viewLink(`${PAGES[kind]}/${id}`, words) : words;
}

const value = (field) => (field === undefined ? "–" : typeof field === "string" ? field : JSON.stringify(field));

/** The changed fields: before and after. */
function changes({ before, after, truncated }) {
  const names = [...new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})])];
  if (!names.length) return "–";
  const line = (name) => h("li", {}, h("code", {}, name), ": ", before && name in before && [h("s", {}, value(before[name])), " → "], after && name in after ? value(after[name]) : t("log.gone"));
  return h("details", {}, h("summary", {}, t("log.fields", { n: names.length })), h("ul", { class: "plain changes" }, names.map(line)), truncated && h("p", { class: "hint" }, t("log.truncated")));
}

const logTable = (rows) => table({
  caption: t("menu.log"), rows, empty: t("nothingFound"),
  columns: [
    { name: t("at"), cell: ({ at: instant }) => second(instant) },
    { name: t("log.actor"), cell: ({ actor }) => actor.name },
    { name: t("log.action"), cell: ({ action }) => actionWords(action) },
    { name: t("log.subject"), kind: "long", cell: ({ subject }) => subjectLink(subject) },
    { name: t("log.changes"), kind: "long", cell: changes },
  ],
});
