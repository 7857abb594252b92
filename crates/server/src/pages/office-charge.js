// Charging a wallet at a till.

import { h } from "./dom.js";
import { writer } from "./office-api.js";
import { field, form } from "./office-forms.js";
import { points, t } from "./office-language.js";
import { announce, card } from "./office-parts.js";

/** Whether staff charge wallets here (`ONSALE_CHARGE=staff`). */
const CHARGES = document.querySelector('meta[name="onsale-charge"]')?.content === "staff";

export async function show(page) {
  if (!CHARGES) return page.show([page.head(t("menu.charge")), h("p", {}, t("chargeSelf"))]);
  const done = h("p", { class: "message", role: "status", hidden: true });
  const make = () => {
    const write = writer();
    const made = form({
      submit: t("charge"),
      fields: [
        field({ name: "user", label: t("userId"), required: true, length: 64, pattern: /^[A-Za-z0-9_-]{1,64}$/, hint: t("userId.hint") }),
        field({ name: "amount", label: t("amountPoints"), kind: "number", min: 1, max: 10_000_000, required: true }),
        field({ name: "externalId", label: t("externalId"), length: 255, pattern: /^[!-~]+$/, hint: t("externalId.hint"), wide: true }),
      ],
      onSubmit: async ({ user, amount, externalId }) => {
        const answer = await write("PATCH", `/point/${encodeURIComponent(user)}/charge`, { amount, ...(externalId && { externalId }) });
        const words = t("chargeDone", { user, amount: points(amount), balance: points(answer.balance) });
        done.hidden = false;
        done.textContent = words;
        announce(words);
        const next = make();
        made.replaceWith(next);
        next.querySelector("input").focus();
      },
    });
    return made;
  };
  return page.show([page.head(t("menu.charge")), h("p", { class: "hint" }, t("chargeText")), done, card(null, make())]);
}
