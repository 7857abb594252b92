// The visitor's user id and points: a small store, and the forms that change it.

import { points, whole } from "./amounts.js";
import { Problem, calls, chargePoints, getPoints } from "./api.js";
import { fill, h } from "./dom.js";
import { t } from "./language.js";
import { session } from "./session.js";
import { SIGNS_IN, signInButton, signOut, signedIn } from "./sign-in.js";
import { tabs } from "./tabs.js";
import { writes } from "./writes.js";

const SAMPLE = "42";
const STEPS = [10_000, 50_000, 100_000];

/** Dispatches `change` when the user or the balance changes. */
class Account extends EventTarget {
  /** Of this tab as the visitor typed it, or of the session once that is known. */
  user = SIGNS_IN ? null : session.get("user");
  balance = null;
  /** The instant of the last change that the balance includes. */
  #updatedAt = null;
  /** The queue token of the visitor's turn, if there is one: a strict server requires it. */
  token = null;

  become(user) {
    session.set("user", user);
    [this.user, this.balance, this.token, this.#updatedAt] = [user, null, null, null];
    this.#tell();
    if (user) this.refresh();
  }

  /** Asks the server who is signed in. If it does not answer, the visitor stays who they were. */
  async follow() {
    if (!SIGNS_IN) return;
    const user = await signedIn().catch(() => this.user);
    if (user !== this.user) this.become(user);
  }

  async refresh() {
    const { user } = this;
    if (!user) return;
    try {
      const { body } = await getPoints(user, { token: this.token });
      if (this.user === user) this.learn(body.balance, body.updatedAt);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
    }
  }

  /** Answers may arrive out of order. An older answer does not replace a newer one. */
  learn(balance, updatedAt) {
    if (this.#updatedAt && (updatedAt ?? "") < this.#updatedAt) return;
    [this.balance, this.#updatedAt] = [balance, updatedAt];
    this.#tell();
  }

  async charge(amount) {
    const { user } = this;
    const { body, isReplayed } = await chargePoints(user, amount, { token: this.token });
    if (this.user === user) this.learn(body.balance, body.updatedAt);
    if (isReplayed) notice(t("charged", { points: points(amount) }));
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}

export const account = new Account();

/** The session has ended, or another tab has signed in as another user. */
calls.addEventListener("stranger", () => account.follow());

/** Changes that this visitor made in another tab show here too. */
const seeDone = ({ detail }) => {
  if (detail.user === account.user) account.refresh();
};
tabs.addEventListener("done", seeDone);
writes.addEventListener("settled", ({ detail }) => seeDone({ detail: detail.wish }));

const notices = document.getElementById("notices");

/** Shows a message at the edge of the page for a few seconds. */
export function notice(words, kind = "calm") {
  const shown = h("p", { class: `notice ${kind}` }, words);
  notices.append(shown);
  while (notices.children.length > 2) notices.firstChild.remove();
  setTimeout(() => shown.remove(), 5_000);
}

/** Runs the task of a button, once at a time, and shows a problem. */
export async function busily(button, task) {
  if (button.getAttribute("aria-busy") === "true") return;
  button.setAttribute("aria-busy", "true");
  try {
    await task();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    notice(problem.words, "bad");
  } finally {
    button.removeAttribute("aria-busy");
  }
}

/** A form for the visitor's user id. */
export function whoForm(onDone = () => {}) {
  if (SIGNS_IN) return account.user ? signOutButton() : h("div", { class: "who" }, signInButton());
  const input = h("input", {
    id: "who", name: "user", value: account.user ?? SAMPLE, required: true, maxlength: 64, pattern: "[A-Za-z0-9_\\-]{1,64}",
    autocomplete: "off", spellcheck: "false", "aria-describedby": "who-hint",
  });
  const choose = (event) => {
    event.preventDefault();
    account.become(input.value.trim());
    onDone();
  };
  return h("form", { class: "who", on: { submit: choose } },
    h("label", { for: "who" }, t("who")),
    h("div", { class: "pair" }, input, h("button", { class: "primary" }, t("continue"))),
    h("p", { class: "hint", id: "who-hint" }, t("whoHint", { sample: SAMPLE })));
}

/** A button that ends the session. Places in line and holds stay. */
function signOutButton() {
  const leave = (event) => busily(event.currentTarget, async () => {
    if (await signOut()) account.become(null);
    else notice(t("stillSignedIn"), "bad");
  });
  return h("button", { type: "button", class: "link", on: { click: leave } }, t("signOut"));
}

/** Whether users charge their own wallets. With false only staff do, and the pages show no button for it. */
export const CHARGES = document.querySelector('meta[name="onsale-charge"]')?.content !== "staff";

/** Buttons that charge points; empty if only staff may charge. */
export function chargeButtons() {
  if (!CHARGES) return h("span", { hidden: true });
  const button = (amount) => {
    const ask = (event) => busily(event.currentTarget, () => account.charge(amount));
    return h("button", { type: "button", class: "small", on: { click: ask }, "aria-label": t("chargeOf", { points: points(amount) }) }, `+${whole(amount)}`);
  };
  return h("div", { class: "row", role: "group", "aria-label": t("chargePoints") }, STEPS.map(button));
}

/** A form for any amount; empty if only staff may charge. It shows the server's refusals. */
export function chargeForm() {
  if (!CHARGES) return h("span", { hidden: true });
  const input = h("input", { id: "amount", type: "number", step: "1", value: "25000", required: true, inputmode: "numeric" });
  const button = h("button", {}, t("charge"));
  const ask = (event) => {
    event.preventDefault();
    busily(button, () => account.charge(input.valueAsNumber));
  };
  return h("form", { class: "charge", on: { submit: ask } },
    h("label", { for: "amount" }, t("otherAmount")), h("div", { class: "pair" }, input, button));
}

/** The balance as a number that updates itself. Its listeners end with `signal`. */
export function balanceText(signal) {
  const text = h("output", { class: "balance" });
  const show = () => fill(text, account.balance == null ? "–" : whole(account.balance));
  account.addEventListener("change", show, { signal });
  show();
  return text;
}

/** The visitor's user id and balance on the first page. */
export function accountCard(signal) {
  const card = h("section", { class: "card account", "aria-label": t("yourAccount") });
  const show = () => {
    if (!account.user) return fill(card, whoForm());
    const change = () => {
      fill(card, whoForm(show));
      card.querySelector("input").select();
    };
    fill(card,
      h("div", { class: "spread" },
        h("span", { class: "hint" }, t("youAre"), h("strong", {}, account.user)),
        SIGNS_IN ? signOutButton() : h("button", { class: "link", type: "button", on: { click: change } }, t("change"))),
      h("p", { class: "purse" }, balanceText(signal), t("pointsUnit")),
      chargeButtons(),
      h("a", { href: "#/account", class: "hint" }, t("accountLink")));
  };
  let shown = null;
  const follow = () => {
    if (shown === account.user) return;
    shown = account.user;
    show();
  };
  account.addEventListener("change", follow, { signal });
  show();
  shown = account.user;
  return card;
}
