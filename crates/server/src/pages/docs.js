// The API description as a page: everything shown comes from /openapi.json of this server.

import { fill, h, plural } from "./dom.js";
import { operationView, problemView, spaced } from "./operation.js";
import { at } from "./place.js";
import { schemaView } from "./schema.js";
import { markdown } from "./text.js";
import { Form } from "./try.js";

const METHODS = ["get", "post", "put", "patch", "delete"];

/** The order of tags if the document lists none: the order in which a client needs them. Further tags follow. */
const TAGS = ["Points", "Lectures", "Waiting room", "Concerts", "Reservations", "Payments", "Administration", "Operation"];

const content = document.getElementById("content");
const groups = document.getElementById("groups");
const filter = document.getElementById("filter");
const found = document.getElementById("found");
const menu = document.getElementById("menu");
const narrow = matchMedia("(max-width: 860px)");

function operationsOf(description) {
  const all = [];
  for (const [path, methods] of Object.entries(description.paths)) {
    for (const method of METHODS) {
      const said = methods[method];
      if (said) all.push({ ...said, method: method.toUpperCase(), path, tag: said.tags?.[0] ?? "Other", problems: problemsOf(said) });
    }
  }
  return all;
}

/** The refusals of an operation: `{status, code, title, example}`. */
function problemsOf({ responses }) {
  return Object.entries(responses).flatMap(([status, { content: kinds }]) =>
    Object.entries(kinds?.["application/problem+json"]?.examples ?? {}).map(([code, { summary, value }]) => ({ status, code, title: summary, example: value })));
}

function byTag(description, operations) {
  const named = description.tags?.map(({ name }) => name) ?? TAGS;
  const place = (tag) => (named.includes(tag) ? named.indexOf(tag) : named.length);
  const tags = [...new Set(operations.map(({ tag }) => tag))].sort((one, other) => place(one) - place(other));
  return tags.map((tag) => ({ tag, operations: operations.filter((operation) => operation.tag === tag) }));
}

function introduction({ info, components }) {
  const { title, version, description, license } = info;
  return h("section", { id: "introduction", class: "introduction" },
    h("h1", {}, title, " ", h("small", { class: "hint" }, version)),
    h("div", { class: "prose" }, markdown(description ?? "")),
    h("p", { class: "hint" }, h("a", { href: at("/openapi.json") }, "/openapi.json"), license ? ` · ${license.name}` : "", " · ", h("a", { href: at("/") }, "Demonstration")),
    h("h2", {}, "Credentials"),
    h("dl", { class: "schemes" }, Object.entries(components.securitySchemes ?? {}).map(([id, { type, in: place, name, description: said }]) => h("div", {},
      h("dt", {}, spaced(id)),
      h("dd", {}, h("code", {}, type !== "apiKey" ? "Authorization: Bearer …" : place === "query" ? `?${name}=…` : `${name}: …`)),
      h("dd", { class: "prose hint" }, markdown(said ?? ""))))));
}

/** Every problem of every operation once, with who gives it. */
function problemSection(description, operations) {
  const known = new Map();
  for (const { operationId, problems } of operations) {
    for (const problem of problems) {
      const entry = known.get(problem.code) ?? { ...problem, from: [] };
      entry.from.push(operationId);
      known.set(problem.code, entry);
    }
  }
  const sorted = [...known.values()].sort((one, other) => one.status - other.status || one.code.localeCompare(other.code));
  const from = (entry) => (entry.from.length === operations.length
    ? "Any operation may give it."
    : ["Given by ", entry.from.map((id, index) => [index ? ", " : "", h("a", { href: `#${id}` }, id)]), "."]);
  return h("section", { id: "problems", class: "problems-all" },
    h("h2", {}, "Problems"),
    h("p", { class: "prose" }, "Every answer that is not a success has this shape. Programs read ", h("code", {}, "code"), "."),
    schemaView(description, description.components.schemas.Problem ?? {}),
    h("ul", { class: "codes" }, sorted.map((entry) => h("li", {}, problemView(entry, () => h("p", { class: "hint" }, from(entry)))))));
}

function sidebar(tags) {
  const link = ({ operationId, method, path, summary }) => h("li", {},
    h("a", { href: `#${operationId}`, title: `${method} ${path}` }, h("span", { class: `method ${method.toLowerCase()}` }, method), h("span", {}, summary ?? path)));
  fill(groups,
    h("section", {}, h("ul", {}, [["introduction", "Introduction"], ["problems", "Problems"]].map(([id, name]) => h("li", {}, h("a", { href: `#${id}` }, name))))),
    tags.map(({ tag, operations }) => h("section", {}, h("h2", {}, tag), h("ul", {}, operations.map(link)))));
}

/** Words that must all occur, in any order. */
function onFilter(operations) {
  const texts = new Map(operations.map(({ operationId, method, path, summary, description, tag, problems }) =>
    [operationId, [operationId, method, path, summary, description, tag, ...problems.map(({ code }) => code)].join(" ").toLowerCase()]));
  const apply = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const section of groups.children) {
      let shown = 0;
      for (const item of section.querySelectorAll("li")) {
        const text = texts.get(item.firstChild.hash.slice(1)) ?? item.textContent.toLowerCase();
        item.hidden = !words.every((word) => text.includes(word));
        shown += item.hidden ? 0 : 1;
      }
      section.hidden = shown === 0;
      count += shown;
    }
    fill(found, words.length ? `${plural(count, "entry", "entries")} found` : "");
  };
  filter.addEventListener("input", apply);
  filter.addEventListener("keydown", (event) => {
    if (event.key === "Enter") groups.querySelector("li:not([hidden]) a")?.click();
    if (event.key === "Escape") filter.value = "";
    apply();
  });
  addEventListener("keydown", (event) => {
    const isTyping = event.target.closest?.("input, textarea, select");
    if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (narrow.matches) openMenu(true);
    filter.focus();
  });
}

function openMenu(isOpen) {
  menu.setAttribute("aria-expanded", String(isOpen));
  document.getElementById("operations").classList.toggle("open", isOpen);
}

/** Marks in the sidebar what is being read. */
function followReading() {
  const links = new Map([...groups.querySelectorAll("a")].map((link) => [link.hash.slice(1), link]));
  const mark = (id) => {
    for (const link of links.values()) link.removeAttribute("aria-current");
    const link = links.get(id);
    link?.setAttribute("aria-current", "true");
    if (!narrow.matches) link?.scrollIntoView({ block: "nearest" });
  };
  const watch = new IntersectionObserver((entries) => {
    const seen = entries.find(({ isIntersecting }) => isIntersecting);
    if (seen) mark(seen.target.id);
  }, { rootMargin: "-15% 0px -80%" });
  for (const id of links.keys()) {
    const section = document.getElementById(id);
    if (section) watch.observe(section);
  }
}

async function show() {
  const response = await fetch(at("/openapi.json"));
  if (!response.ok) throw new Error(`/openapi.json answered ${response.status}`);
  const description = await response.json();
  const operations = operationsOf(description);
  const tags = byTag(description, operations);
  const form = (operation) => new Form(description, operation);
  sidebar(tags);
  fill(content,
    introduction(description),
    tags.map((group) => h("section", { class: "tag", "aria-label": group.tag },
      h("h2", { class: "tag-name" }, group.tag),
      group.operations.map((operation) => operationView(description, operation, form(operation))))),
    problemSection(description, operations));
  document.title = `${description.info.title} API`;
  onFilter(operations);
  followReading();
  // The element of the URL's fragment did not exist yet when the browser searched for it.
  if (location.hash) document.getElementById(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

menu.addEventListener("click", () => openMenu(menu.getAttribute("aria-expanded") !== "true"));
groups.addEventListener("click", (event) => {
  if (event.target.closest("a")) openMenu(false);
});
show().catch((failure) => fill(content, h("p", {}, `The description cannot be shown: ${failure.message}.`)));
