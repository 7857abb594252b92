// The sections of a hall with a layout: one is open at a time, and each shows how many of its seats are free.

import { points } from "./amounts.js";
import { fill, h } from "./dom.js";
import { t } from "./language.js";

export class SectionPicker {
  element = h("div", { class: "sections", role: "group", "aria-label": t("sections"), hidden: true });
  #onOpen;
  #listed = [];
  #shown = "";
  /** The name of the section that is open; null in a hall without sections. */
  open = null;

  /** `open` is the section that was open before, `onOpen` runs when the visitor opens another one. */
  constructor(open, onOpen) {
    this.open = open;
    this.#onOpen = onOpen;
  }

  /** The sections as they are now. Keeps the one that is open if it is still there, else opens the first with free seats. */
  show(sections) {
    this.#listed = sections;
    this.element.hidden = sections.length === 0;
    if (!sections.some(({ section }) => section === this.open)) {
      const best = sections.find(({ free, accessible }) => free > 0 && !accessible) ?? sections.find(({ free }) => free > 0) ?? sections[0];
      this.open = best?.section ?? null;
    }
    this.#draw();
  }

  #draw() {
    const shown = JSON.stringify([this.open, this.#listed]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    fill(this.element, this.#listed.map((section) => this.#button(section)));
  }

  #button({ section, grade, price, accessible, capacity, free }) {
    const choose = () => {
      if (section === this.open) return;
      this.open = section;
      this.#draw();
      this.#onOpen(section);
    };
    return h("button", { type: "button", class: "section", "data-key": section, "aria-pressed": String(section === this.open), on: { click: choose } },
      h("strong", {}, section), h("span", { class: "hint" }, `${grade} · ${points(price)}`),
      h("span", { class: free ? "free" : "hint" }, t("sectionFree", { n: free, capacity })),
      accessible && h("span", { class: "hint" }, t("accessible")));
  }
}
