// What this tab remembers, and nothing longer: who the visitor is, places in line, keys of payments under way.

export const session = {
  get(name) {
    try {
      return JSON.parse(sessionStorage.getItem(`onsale:${name}`));
    } catch {
      return null;
    }
  },
  set(name, value) {
    try {
      if (value == null) sessionStorage.removeItem(`onsale:${name}`);
      else sessionStorage.setItem(`onsale:${name}`, JSON.stringify(value));
    } catch {
      // Storage is switched off: the page then forgets at its next load.
    }
  },
};

/** The server's clock: deadlines are its own, whatever the visitor's clock says. */
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
