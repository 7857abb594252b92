// The session of the back office: who works here, what the role includes, and the sign-in.

import { Problem, send } from "./api.js";
import { fill, h } from "./dom.js";
import { has, t } from "./office-language.js";

/** What a role includes: the table of `domain/src/staff/role.rs`. The server decides; the page only leaves out what it refuses. */
const RIGHTS = {
  owner: ["read", "run", "refund", "adjust", "attend", "keys", "charge", "admit"],
  organiser: ["read", "run", "refund", "attend", "admit"],
  support: ["read", "refund", "adjust", "attend"],
  door: ["attend", "admit"],
  cashier: ["charge"],
};

export const ROLES = Object.keys(RIGHTS);

/** Milliseconds between checks that the session still lasts. */
const LOOK_EVERY = 20_000;

/** Dispatches `change` after a sign-in and a sign-out. `who` is `{name, role, expiresAt}`, or null. */
class Session extends EventTarget {
  who = null;
  #renewing = null;

  may(right) {
    return RIGHTS[this.who?.role]?.includes(right) ?? false;
  }

  /** Reads the session of the cookie. Returns false if there is none. */
  async load() {
    try {
      const { body } = await send("getDeskSession", "GET", "/desk/session", { quiet: true });
      const isOther = body.name !== this.who?.name || body.role !== this.who?.role;
      this.who = body;
      if (isOther) this.dispatchEvent(new Event("change"));
      return true;
    } catch (problem) {
      if (!(problem instanceof Problem) || problem.isPassing) throw problem;
      return false;
    }
  }

  async signIn(key) {
    await send("createDeskSession", "POST", "/desk/session", { body: { key }, quiet: true });
    await this.load();
  }

  async signOut() {
    await send("deleteDeskSession", "DELETE", "/desk/session", { quiet: true });
    this.who = null;
    this.dispatchEvent(new Event("change"));
  }

  /** Asks for a key above what is on the page, which stays as it is. All calls that need a session wait for one sign-in. */
  renew() {
    this.#renewing ??= this.#ask().finally(() => (this.#renewing = null));
    return this.#renewing;
  }

  async #ask() {
    // Another tab may have signed in already.
    if (await this.load()) return;
    await new Promise((resolve) => {
      let isDone = false;
      // Escape closes a dialog at the second time in any case: it opens again until there is a session.
      const close = () => (isDone ? dialog.remove() : dialog.showModal());
      const dialog = h("dialog", { class: "dialog renew", "aria-labelledby": "renew-title", on: { cancel: (event) => event.preventDefault(), close } });
      dialog.append(h("h2", { id: "renew-title" }, t("sessionEnded")), h("p", {}, t("sessionEndedText")), signInForm(() => {
        isDone = true;
        dialog.close();
        resolve();
      }));
      document.body.append(dialog);
      dialog.showModal();
      dialog.querySelector("input").focus();
    });
  }

  /** Asks for a sign-in soon after the session has ended, also if nothing is clicked. */
  watch() {
    setInterval(async () => {
      if (!this.who || document.hidden || this.#renewing) return;
      try {
        if (Date.parse(this.who.expiresAt) < Date.now() || !(await this.load())) await this.renew();
      } catch (problem) {
        // While the server is away nothing is known about the session.
        if (!(problem instanceof Problem)) throw problem;
      }
    }, LOOK_EVERY);
  }
}

export const session = new Session();

/** What a problem means, in the language of the page. */
export function wordsOf(problem) {
  if (problem.status === 0) return t("code.no-answer");
  const name = `code.${problem.code}`;
  const { seats } = problem.body;
  const words = has(name) ? t(name) : t("code.unknown", { status: problem.status, detail: problem.message });
  return seats?.length ? `${words} ${t("seatNumbers", { seats: seats.join(", ") })}` : words;
}

/** A form for the key of a member of the staff. */
export function signInForm(onDone) {
  const input = h("input", {
    id: `key-${Date.now()}`, type: "password", name: "key", required: true, maxlength: 1000, autocomplete: "current-password", spellcheck: "false", autocapitalize: "off",
  });
  const message = h("p", { class: "message bad", role: "alert", hidden: true });
  const button = h("button", { class: "primary wide" }, t("signIn"));
  const say = (words) => {
    message.hidden = !words;
    fill(message, words ?? "");
  };
  const submit = async (event) => {
    event.preventDefault();
    const key = input.value.trim();
    if (!key) {
      say(t("keyMissing"));
      return input.focus();
    }
    if (button.getAttribute("aria-busy") === "true") return null;
    button.setAttribute("aria-busy", "true");
    try {
      await session.signIn(key);
      say(null);
      input.value = "";
      onDone();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      say(problem.code === "admin-key-invalid" || problem.code === "invalid-request" ? t("keyWrong") : problem.code === "not-found" ? t("noKeys") : wordsOf(problem));
      input.select();
      input.focus();
    } finally {
      button.removeAttribute("aria-busy");
    }
    return null;
  };
  return h("form", { class: "sign-in", novalidate: true, on: { submit } },
    h("label", { for: input.id }, t("staffKey")), input, message, button);
}
