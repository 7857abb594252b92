// The frame around every view of the shop: the switch of the language, the visitor with their points, and what is read aloud.

import { account } from "./account.js";
import { whole } from "./amounts.js";
import { fill, h } from "./dom.js";
import { LANGUAGES, currentLanguage, setLanguage, t } from "./language.js";

/** Reads a text aloud without showing it. */
export function announce(words) {
  fill(document.getElementById("said"), words);
}

/** Writes the texts of the page that are outside of the view. */
function write() {
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of document.querySelectorAll("[data-t-label]")) element.setAttribute("aria-label", t(element.dataset.tLabel));
}

function showChip() {
  const chip = document.getElementById("chip");
  chip.hidden = !account.user;
  // Its name is what is in it: a name of its own would hide the points.
  fill(chip, h("strong", {}, account.user ?? ""), account.balance != null && h("span", {}, whole(account.balance), h("span", { class: "unit" }, t("pointsUnit"))));
}

/** Shows the frame. `onLanguage` shows the view in the language that the visitor has chosen. */
export function showFrame(onLanguage) {
  const languages = document.getElementById("languages");
  const mark = () => {
    for (const button of languages.children) button.setAttribute("aria-pressed", String(button.lang === currentLanguage()));
  };
  const speak = async (tag) => {
    if (tag === currentLanguage()) return;
    setLanguage(tag);
    write();
    mark();
    // On a phone only the other language is shown.
    const { activeElement } = document;
    if (languages.contains(activeElement) && activeElement.offsetParent === null) languages.querySelector('[aria-pressed="false"]').focus();
    showChip();
    await onLanguage();
    announce(t("languageChanged"));
  };
  fill(languages, LANGUAGES.map(([tag, name]) => h("button", { type: "button", class: "link", lang: tag, on: { click: () => speak(tag) } }, name)));
  mark();
  write();
  account.addEventListener("change", showChip);
  showChip();
}
