// Text of the description: its little Markdown, JSON in colour, and commands to copy.

import { fill, h } from "./dom.js";

/** Paragraphs, `code` and **strong**: all that the description uses. */
export function markdown(text) {
  return text.split(/\n{2,}/).filter(Boolean).map((paragraph) => h("p", {}, paragraph.split(/(`[^`]+`|\*\*[^*]+\*\*)/).map(inline)));
}

function inline(part) {
  if (part.length > 2 && part.startsWith("`")) return h("code", {}, part.slice(1, -1));
  if (part.length > 4 && part.startsWith("**")) return h("strong", {}, part.slice(2, -2));
  return part;
}

const TOKENS = /("(?:[^"\\]|\\.)*")(\s*:)?|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\b(?:true|false|null)\b/g;

/** A value as indented, coloured JSON; text that is not JSON stays as it is. */
export function json(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return h("pre", { class: "code", tabindex: "0" }, h("code", {}, typeof value === "string" ? text : coloured(text)));
}

function coloured(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(TOKENS)) {
    const [all, string, colon] = match;
    parts.push(text.slice(end, match.index));
    if (!string) parts.push(h("span", { class: "n" }, all));
    else parts.push(h("span", { class: colon ? "k" : "s" }, string), colon ?? "");
    end = match.index + all.length;
  }
  parts.push(text.slice(end));
  return parts;
}

/** A button that copies what `read` gives. */
export function copyButton(read) {
  const button = h("button", { type: "button", class: "small copy" }, "Copy");
  button.addEventListener("click", async () => {
    const done = await copy(read());
    fill(button, done ? "Copied" : "Press Ctrl+C");
    setTimeout(() => fill(button, "Copy"), 1_600);
  });
  return button;
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Plain http from another machine has no clipboard: the older way still works there.
    const field = h("textarea", { class: "hidden", value: text });
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}
