// Sign-in of visitors at a provider, if the server has one. The session is a cookie that no script can read.

import { h } from "./dom.js";
import { t } from "./language.js";
import { at } from "./place.js";

/** Whether visitors sign in. With false they name themselves. */
export const SIGNS_IN = document.querySelector('meta[name="onsale-sign-in"]')?.content === "yes";

const FAILED = ["invalid", "refused", "unavailable"];

/** The words for an address that the server sends a browser to after a sign-in that failed. */
export const failedWords = (why) => t(`signIn.${FAILED.includes(why) ? why : "invalid"}`);

/** The user whose session counts; null if there is none. Throws if the server does not answer. */
export async function signedIn() {
  const response = await fetch(at("/session"), { headers: { Accept: "application/json" }, cache: "no-store" });
  if (!response.ok) throw new Error(`the session answered ${response.status}`);
  return (await response.json()).userId;
}

/** Ends the session. Returns whether the server confirmed it. */
export async function signOut() {
  try {
    const { ok } = await fetch(at("/session/logout"), { method: "POST", cache: "no-store" });
    return ok;
  } catch {
    return false;
  }
}

/** A button that leads to the provider and back to this view. */
export function signInButton() {
  const view = location.hash.startsWith("#/sign-in") ? "" : location.hash;
  const leave = () => location.assign(at(`/session/login?return=${encodeURIComponent(`/${view}`)}`));
  return h("button", { type: "button", id: "who", class: "primary", on: { click: leave } }, t("signIn"));
}
