// JSON Schema as a list of members, each with its type, bounds and meaning.

import { h, whole } from "./dom.js";
import { markdown } from "./text.js";

/** Members of members of members are shown; what lies deeper is only named. */
const DEPTH_MAX = 4;

/** Follows references, and single choices that only wrap one. */
export function resolve(description, schema) {
  let [current, name] = [schema ?? {}, null];
  for (let step = 0; step < 16; step++) {
    if (current.$ref) {
      name = current.$ref.split("/").pop();
      current = { ...description.components.schemas[name], ...without(current, "$ref") };
    } else if (current.anyOf?.length === 1) {
      current = { ...current.anyOf[0], ...without(current, "anyOf") };
    } else break;
  }
  return { schema: current, name };
}

function without(object, key) {
  const { [key]: _, ...rest } = object;
  return rest;
}

/** A type in words: `integer`, `string (uuid) or null`, `Seat[]`. */
export function typeOf(description, given) {
  const { schema, name } = resolve(description, given);
  if (schema.anyOf) return schema.anyOf.map((choice) => typeOf(description, choice)).join(" or ");
  if (valuesOf(schema).length) return name ?? "string";
  const types = [schema.type ?? []].flat();
  if (!types.length) return name ?? "anything";
  return types.map((type) => {
    if (type === "array") return `${typeOf(description, schema.items)}[]`;
    if (type === "object") return name ?? "object";
    const format = type === "null" || !schema.format || schema.format.startsWith("int") ? "" : ` (${schema.format})`;
    return type + format;
  }).join(" or ");
}

/** The values that a schema lists, each with what is said of it. */
function valuesOf({ enum: list, const: only, oneOf }) {
  if (list) return list.map((value) => ({ value }));
  if (only !== undefined) return [{ value: only }];
  return (oneOf ?? []).flatMap((choice) => valuesOf(choice).map((known) => ({ said: choice.description, ...known })));
}

/** Bounds and defaults in words. */
export function boundsOf(schema = {}) {
  const { minimum, maximum, minLength, maxLength, minItems, maxItems, pattern, format, default: preset } = schema;
  const span = (least, most, one = "", many = one) => {
    const unit = (most ?? least) === 1 ? one : many;
    if (least != null && most != null) return `${whole(least)} to ${whole(most)}${unit}`;
    return least != null ? `at least ${whole(least)}${unit}` : `at most ${whole(most)}${unit}`;
  };
  // A minimum of 0 for a count is obvious, so it is left out.
  const isCount = minimum === 0 && maximum == null && format?.startsWith("int");
  return [
    (minimum != null || maximum != null) && !isCount && span(minimum, maximum),
    (minLength != null || maxLength != null) && span(minLength, maxLength, " character", " characters"),
    (minItems != null || maxItems != null) && span(minItems, maxItems, " entry", " entries"),
    pattern && `matches ${pattern}`,
    preset !== undefined && `default ${JSON.stringify(preset)}`,
  ].filter(Boolean);
}

/** The members of an object, of the objects of a list, or of each choice; nothing for a plain value. */
export function schemaView(description, given, depth = 0) {
  const { schema } = resolve(description, given);
  if (depth >= DEPTH_MAX) return null;
  if (schema.anyOf) return schema.anyOf.map((choice) => schemaView(description, choice, depth));
  if (schema.items) return schemaView(description, schema.items, depth);
  const members = Object.entries(schema.properties ?? {});
  if (!members.length) return null;
  const required = new Set(schema.required ?? []);
  // What must be there comes first; otherwise the description's own order.
  members.sort(([one], [other]) => required.has(other) - required.has(one));
  return h("ul", { class: "members" }, members.map(([name, member]) => memberView(description, name, member, required.has(name), depth)));
}

function memberView(description, name, member, isRequired, depth) {
  const { schema } = resolve(description, member);
  const values = valuesOf(schema);
  const bounds = boundsOf(schema);
  return h("li", {},
    h("p", { class: "member" },
      h("code", { class: "name" }, name), h("span", { class: "type" }, typeOf(description, member)), !isRequired && h("span", { class: "hint" }, "optional")),
    schema.description && h("div", { class: "prose hint" }, markdown(schema.description)),
    bounds.length > 0 && h("p", { class: "bounds" }, bounds.join(" · ")),
    values.length > 0 && h("p", { class: "bounds" }, values.map(({ value, said }, index) => [index ? " · " : "", h("code", {}, String(value)), said ? ` ${said}` : ""])),
    schemaView(description, member, depth + 1));
}
