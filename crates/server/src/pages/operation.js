// One operation: what it takes and what it answers, beside a form that sends it.

import { h } from "./dom.js";
import { boundsOf, schemaView, typeOf } from "./schema.js";
import { json, markdown } from "./text.js";

const PROBLEM = "application/problem+json";

export function operationView(description, operation, form) {
  const { operationId, method, path, summary, description: said } = operation;
  return h("article", { id: operationId, class: "operation" },
    h("div", { class: "described" },
      h("h3", {}, h("a", { href: `#${operationId}`, class: "anchor" }, summary ?? operationId)),
      h("p", { class: "route" }, h("span", { class: `method ${method.toLowerCase()}` }, method), h("code", {}, breakable(path))),
      said && h("div", { class: "prose" }, markdown(said)),
      credentials(description, operation),
      parameters(description, operation),
      body(description, operation),
      answers(description, operation),
      problems(operation)),
    form.element);
}

/** Long paths may break after a slash. */
function breakable(path) {
  return path.split("/").flatMap((part, index) => (index ? ["/", h("wbr"), part] : [part]));
}

function credentials({ components }, { security }) {
  if (!security?.length) return null;
  const alternative = (need) => {
    const names = Object.keys(need);
    if (!names.length) return "nothing";
    return names.map((name, index) => [index ? " and " : "", h("code", {}, headerOf(components.securitySchemes[name])), ` (${spaced(name)})`]);
  };
  return [h("h4", {}, "Credentials"), h("p", {}, security.map((need, index) => [index ? ", or " : "", alternative(need)]))];
}

const headerOf = ({ type, in: place, name }) => (type !== "apiKey" ? "Authorization" : place === "query" ? `?${name}=` : name);

/** `queueToken` reads as queue token. */
export const spaced = (name) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

function parameters(description, { parameters: all = [] }) {
  if (!all.length) return null;
  const row = ({ name, in: place, required, schema, description: said }) => h("li", {},
    h("p", { class: "member" },
      h("code", { class: "name" }, name), h("span", { class: "type" }, typeOf(description, schema)),
      h("span", { class: "hint" }, `in ${place}`), required && h("span", { class: "required" }, "required")),
    boundsOf(schema).length > 0 && h("p", { class: "bounds" }, boundsOf(schema).join(" · ")),
    said && h("div", { class: "prose hint" }, markdown(said)));
  return [h("h4", {}, "Parameters"), h("ul", { class: "members" }, all.map(row))];
}

function body(description, { requestBody }) {
  if (!requestBody) return null;
  return Object.entries(requestBody.content).map(([mediaType, { schema, example }]) => [
    h("h4", {}, "Body ", h("small", {}, mediaType)), schemaView(description, schema),
    example !== undefined && folded("Example", () => json(example)),
  ]);
}


function answers(description, { responses }) {
  const successes = Object.entries(responses).filter(([, { content }]) => !content?.[PROBLEM]);
  return [
    h("h4", {}, "Answers"),
    successes.map(([status, { description: said, headers, content = {} }]) => h("div", { class: "answer" },
      h("p", { class: "member" }, h("span", { class: `status s${status[0]}` }, status), h("span", {}, markdown(said ?? "").flatMap((part) => [...part.childNodes]))),
      headersOf(headers),
      Object.entries(content).map(([mediaType, { schema, example }]) => [
        h("p", { class: "hint" }, mediaType, schema && ["; ", typeOf(description, schema)]),
        schemaView(description, schema),
        example !== undefined && folded("Example", () => json(example)),
      ]))),
  ];
}

function headersOf(headers) {
  const named = Object.entries(headers ?? {});
  if (!named.length) return null;
  return h("p", { class: "hint" }, "With ", named.map(([name, { description: said }], index) => [index ? ", " : "", h("code", {}, name), said ? ` (${said})` : ""]));
}

/** A problem that opens to its example, and to the text of `more`. */
export function problemView({ status, code, title, example }, more) {
  const name = [h("span", { class: `status s${status[0]}` }, status), h("code", {}, code), h("span", { class: "hint" }, title)];
  return folded(name, () => [more(), json(example)]);
}

/** Made only when it is opened: there are hundreds. */
function folded(name, make) {
  const element = h("details", {}, h("summary", {}, name));
  const open = () => element.append(...[make()].flat().filter(Boolean));
  element.addEventListener("toggle", open, { once: true });
  return element;
}

function problems({ problems: all, responses }) {
  if (!all.length) return null;
  const row = (problem) => h("li", {}, problemView(problem, () => headersOf(responses[problem.status].headers)));
  return [
    h("h4", {}, "Problems ", h("small", {}, PROBLEM, ", ", h("a", { href: "#problems" }, "Problem"))),
    h("ul", { class: "codes" }, all.map(row)),
  ];
}
