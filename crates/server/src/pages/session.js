// Storage of this browser, per tab or shared; the server's clock; random keys.

const PREFIX = "onsale:";

/** Values by name. What the browser refuses to store is remembered until the page is closed. */
class Store extends EventTarget {
  #open;
  #memory = new Map();

  /** `open` gives the storage; it fails if the visitor has switched storage off. */
  constructor(open) {
    super();
    this.#open = open;
  }

  get(name) {
    try {
      const text = this.#open().getItem(PREFIX + name);
      if (text !== null) return JSON.parse(text);
    } catch {
      // Switched off, or not ours.
    }
    return this.#memory.get(name) ?? null;
  }

  set(name, value) {
    this.#memory.delete(name);
    try {
      if (value == null) this.#open().removeItem(PREFIX + name);
      else this.#open().setItem(PREFIX + name, JSON.stringify(value));
    } catch {
      if (value != null) this.#memory.set(name, value);
    }
  }

  /** The names that begin with `prefix`. */
  names(prefix) {
    let stored = [];
    try {
      stored = Object.keys(this.#open()).filter((name) => name.startsWith(PREFIX + prefix)).map((name) => name.slice(PREFIX.length));
    } catch {
      // Switched off.
    }
    return [...new Set([...stored, ...[...this.#memory.keys()].filter((name) => name.startsWith(prefix))])];
  }
}

/** Of this tab, until it is closed: who the visitor is, places in line, tickets. */
export const session = new Store(() => sessionStorage);

/** Of all tabs, and kept: writes without an answer. Dispatches `change` when another tab changed something. */
export const kept = new Store(() => localStorage);

addEventListener("storage", ({ key }) => {
  if (key === null || key.startsWith(PREFIX)) kept.dispatchEvent(new Event("change"));
});

/** The server's clock: deadlines are its own, whatever the visitor's clock shows. */
export const clock = {
  ahead: 0,
  learn(instant) {
    this.ahead = Date.parse(instant) - Date.now();
  },
  secondsUntil(instant) {
    return (Date.parse(instant) - Date.now() - this.ahead) / 1000;
  },
};

/** As good as a random UUID, also on plain http, where `crypto.randomUUID` is not offered. */
export function randomKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
