// "Try it": a form for one operation, the same request as a curl command, and the server's answer.

import { curl } from "./curl.js";
import { fill, h } from "./dom.js";
import { at } from "./place.js";
import { boundsOf } from "./schema.js";
import { randomKey, session } from "./session.js";
import { copyButton, json } from "./text.js";

const KEY = "Idempotency-Key";

/** Headers that say nothing about this API. */
const DULL = new Set(["content-length", "date", "connection", "keep-alive", "transfer-encoding"]);

/** Shared by all forms: credentials, and ids that answers brought. `change` is dispatched when one is new. */
class Known extends EventTarget {
  #values = session.get("docs") ?? {};

  get(name) {
    return this.#values[name] ?? "";
  }

  set(name, value) {
    if (this.get(name) === value) return;
    this.#values[name] = value;
    session.set("docs", this.#values);
    this.dispatchEvent(new CustomEvent("change", { detail: name }));
  }

  /** The first of each id in an answer, and a queue token, so that the next call finds them filled in. */
  learn(answer, names, depth = 0, taken = new Set()) {
    if (!answer || typeof answer !== "object" || depth > 5) return;
    for (const [name, value] of Object.entries(answer)) {
      if (typeof value === "object") this.learn(value, names, depth + 1, taken);
      else if (typeof value === "string" && names.has(name) && !taken.has(name)) {
        taken.add(name);
        this.set(name, value);
      }
    }
  }
}

const known = new Known();

export class Form {
  #fields = [];
  #key = null;
  #body = null;
  #isBodyOwn = false;
  #isKeyOwn = false;
  #command = h("code", {});
  #answer = h("div", { class: "got", "aria-live": "polite" });
  #stop = null;

  constructor(description, operation) {
    this.description = description;
    this.operation = operation;
    this.element = h("form", { class: "try", "aria-label": `Try ${operation.operationId}`, on: {
      submit: (event) => this.#submit(event),
      input: (event) => this.#onInput(event),
    } });
    this.#build();
    known.addEventListener("change", () => this.#fillIn());
    this.#fillIn();
  }

  /** Names of ids to keep from answers, because some path or body needs them. */
  static #names(description) {
    const asked = Object.values(description.paths).flatMap((methods) => Object.values(methods)).flatMap(({ parameters = [], requestBody }) => [
      ...parameters.filter((parameter) => parameter.in === "path").map(({ name }) => name),
      ...Object.keys(requestBody?.content?.["application/json"]?.example ?? {}).filter((name) => name.endsWith("Id")),
    ]);
    return new Set([...asked, "token"]);
  }

  #schemes() {
    const names = new Set((this.operation.security ?? []).flatMap((need) => Object.keys(need)));
    const schemes = [...names].map((name) => ({ id: name, ...this.description.components.securitySchemes[name] }));
    // A credential in the query is a parameter too, and gets its field there.
    return schemes.filter((scheme) => scheme.in !== "query");
  }

  /** Of the credentials, those without which no alternative is met. */
  #isNeeded(scheme) {
    return this.operation.security.every((need) => scheme in need);
  }

  #build() {
    const { operationId, parameters = [], requestBody } = this.operation;
    const rows = [];
    for (const scheme of this.#schemes()) {
      const name = scheme.id === "queueToken" ? "token" : scheme.id;
      const input = this.#input(`${operationId}-${scheme.id}`, { autocomplete: "off", placeholder: this.#isNeeded(scheme.id) ? "" : "optional" });
      input.addEventListener("input", () => known.set(name, input.value.trim()));
      this.#fields.push({ place: "credential", name, scheme, input });
      rows.push(this.#row(input, scheme.type === "apiKey" ? scheme.name : scheme.id === "adminKey" ? "Admin key" : "Bearer"));
    }
    for (const parameter of parameters) {
      const { name, in: place, required, schema, description: said } = parameter;
      const id = `${operationId}-${name}`;
      if (name === KEY) {
        this.#key = this.#input(id, { value: randomKey(), autocomplete: "off", maxlength: 255 });
        rows.push(this.#row(this.#key, name));
        continue;
      }
      const hint = boundsOf(schema).join(", ") || schema?.format || "";
      const input = schema?.type === "boolean"
        ? h("select", { id }, ["", "true", "false"].map((value) => h("option", { value }, value || "–")))
        : this.#input(id, { required, placeholder: hint.replace(/^matches .*/, said ?? "") });
      this.#fields.push({ place, name, input, schema });
      rows.push(this.#row(input, name));
    }
    const example = requestBody?.content?.["application/json"]?.example;
    if (example !== undefined) {
      const text = JSON.stringify(example, null, 2);
      this.#body = h("textarea", { id: `${operationId}-body`, rows: Math.min(12, text.split("\n").length), spellcheck: "false", value: text });
      rows.push(this.#row(this.#body, "Body"));
    }
    fill(this.element,
      h("h4", {}, "Try it"), h("div", { class: "fields" }, rows),
      h("div", { class: "row" }, h("button", { class: "primary" }, "Send")),
      h("div", { class: "command" },
        h("div", { class: "spread" }, h("span", { class: "hint" }, "The same with curl"), copyButton(() => this.#command.textContent)),
        h("pre", { class: "code", tabindex: "0" }, this.#command)),
      this.#answer);
  }

  #input(id, properties) {
    return h("input", { id, spellcheck: "false", ...properties });
  }

  #row(input, name) {
    return h("div", { class: input.tagName === "TEXTAREA" ? "field tall" : "field" }, h("label", { for: input.id }, name), input);
  }

  /** Puts in what is known by now, but never over what the reader wrote. */
  #fillIn() {
    for (const { place, name, input } of this.#fields) {
      if (place === "credential") input.value = known.get(name);
      else if (place === "path" && !input.dataset.own && known.get(name)) input.value = known.get(name);
    }
    if (this.#body && !this.#isBodyOwn) {
      const example = { ...this.operation.requestBody.content["application/json"].example };
      for (const name of Object.keys(example)) if (typeof example[name] === "string" && known.get(name)) example[name] = known.get(name);
      const text = JSON.stringify(example, null, 2);
      if (text !== this.#body.value) {
        this.#body.value = text;
        this.#renewKey();
      }
    }
    this.#showCommand();
  }

  #onInput({ target }) {
    if (target === this.#body) this.#isBodyOwn = true;
    else target.dataset.own = target.value ? "true" : "";
    if (target === this.#key) this.#isKeyOwn = Boolean(target.value);
    else this.#renewKey();
    this.#showCommand();
  }

  /** Makes a new key for another request, as the server would refuse the old one. Keeps a key that the reader wrote. */
  #renewKey() {
    if (this.#key && !this.#isKeyOwn && this.#key.value) this.#key.value = randomKey();
  }

  #request() {
    const { method, path } = this.operation;
    const values = (wanted) => this.#fields.filter(({ place, input }) => place === wanted && input.value !== "");
    let filled = path;
    for (const { name, input } of values("path")) filled = filled.replace(`{${name}}`, encodeURIComponent(input.value));
    const query = new URLSearchParams(values("query").map(({ name, input }) => [name, input.value])).toString();
    const headers = [];
    for (const { scheme, name, input } of this.#fields.filter(({ place }) => place === "credential")) {
      const secret = input.value || (this.#isNeeded(scheme.id) ? `$${name.replace(/[A-Z]/g, "_$&").toUpperCase()}` : "");
      if (secret) headers.push(scheme.type === "apiKey" ? [scheme.name, secret] : ["Authorization", `Bearer ${secret}`]);
    }
    for (const { name, input } of values("header")) headers.push([name, input.value]);
    if (this.#key?.value) headers.push([KEY, this.#key.value]);
    if (this.#body) headers.push(["Content-Type", "application/json"]);
    const target = query ? `${filled}?${query}` : filled;
    return { method, target, headers, body: this.#body?.value };
  }

  #showCommand() {
    const { method, target, headers, body } = this.#request();
    const isStream = "text/event-stream" in (this.operation.responses[200]?.content ?? {});
    fill(this.#command, curl({ method, url: at(target), headers, body: body && squeezed(body), isStream }));
  }

  async #submit(event) {
    event.preventDefault();
    this.#stop?.abort();
    const stop = (this.#stop = new AbortController());
    const { method, target, headers, body } = this.#request();
    const set = headers.filter(([, value]) => !/^(Bearer )?\$/.test(value));
    fill(this.#answer, h("p", { class: "hint" }, "Waiting for the answer…"));
    const began = performance.now();
    try {
      const response = await fetch(at(target), { method, headers: set, body: body && squeezed(body), signal: stop.signal, cache: "no-store" });
      const took = Math.round(performance.now() - began);
      const output = h("div");
      const isStream = response.headers.get("Content-Type")?.startsWith("text/event-stream");
      const end = isStream && h("button", { type: "button", class: "small", on: { click: () => stop.abort() } }, "Stop");
      fill(this.#answer,
        h("p", { class: "member" }, h("span", { class: `status s${String(response.status)[0]}` }, response.status), h("span", {}, response.statusText), h("span", { class: "hint" }, `${took} ms`), end),
        headerList(response.headers), output);
      if (isStream) await readStream(response, output);
      else this.#showBody(await response.text(), output, response.ok);
    } catch (failure) {
      if (stop.signal.aborted) this.#answer.append(h("p", { class: "hint" }, "Stopped."));
      else fill(this.#answer, h("p", { class: "message bad" }, `No answer: ${failure.message}`));
    }
  }

  #showBody(text, output, isGood) {
    if (!text) return fill(output, h("p", { class: "hint" }, "No body."));
    try {
      const answer = JSON.parse(text);
      fill(output, json(answer));
      if (isGood && !answer.openapi) known.learn(answer, Form.#names(this.description));
    } catch {
      fill(output, json(text));
    }
  }
}

/** A body as it is sent: the same bytes by form and by curl. */
function squeezed(text) {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return text;
  }
}

function headerList(headers) {
  const shown = [...headers].filter(([name]) => !DULL.has(name));
  return h("dl", { class: "headers" }, shown.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

/** Shows events as they come; the form's next request, or its button, ends it. */
async function readStream(response, output) {
  const shown = json("");
  fill(output, shown);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    shown.firstChild.append(value);
    shown.scrollTop = shown.scrollHeight;
  }
}
