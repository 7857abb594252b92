// Lists of the server that grow when the visitor asks for more.

import { h } from "./dom.js";

/** A list over as many of its pages as are shown. */
export class GrowingList {
  #first;
  #keeps;
  #size;
  #wanted;

  /** `first` requests the first page; entries that `keeps` refuses are skipped. `size` entries are added at a time. */
  constructor(first, { size, keeps = () => true }) {
    this.#first = first;
    this.#keeps = keeps;
    this.#size = size;
    this.#wanted = size;
  }

  /** Makes the next load show one step more. */
  grow() {
    this.#wanted += this.#size;
  }

  /** The entries as they are now, and whether there are further ones. */
  async load() {
    const entries = [];
    for (let page = await this.#first(); ; page = await page.more()) {
      entries.push(...page.body.filter(this.#keeps));
      if (!page.more || entries.length >= this.#wanted) return { entries, isLast: !page.more };
    }
  }
}

/** A button below a list that goes on. */
export const moreButton = (words, onMore) =>
  h("p", { class: "more" }, h("button", { type: "button", on: { click: onMore } }, words));
