// The cancellation of a performance: the question before it, its progress, and the payments that could not be refunded.

import { fill, h } from "./dom.js";
import { find, list, writer } from "./office-api.js";
import { ask, typed } from "./office-dialogs.js";
import { field } from "./office-forms.js";
import { has, moment, points, t } from "./office-language.js";
import { announce, badge, button, card, figures, growing, notify, table } from "./office-parts.js";
import { session } from "./office-session.js";

/**
 * The cancellation below `path`. `element` shows its progress, `offer` the button while there is none. `performance` gives the
 * performance as it is now.
 */
export function cancellationView(path, { title, performance, onDone }) {
  const element = h("div");
  const offer = h("div");
  let before = null;
  const failed = growing({ first: () => list(`${path}/cancellation/failed?limit=50`), show: failedTable });
  const progress = h("progress", { max: 1, value: 0 });
  const state = h("div");
  const shown = card(t("cancellation"), state, progress, h("div", { class: "failed" }, failed.element));

  const cancel = async () => {
    const write = writer();
    const isDone = await ask({
      title: t("cancelPerformance"), submit: t("cancelPerformance"), kind: "danger",
      text: [t("cancelText"), t("cancelSold", { n: performance().sold, at: moment(performance().startsAt) })],
      fields: [field({ name: "reason", label: t("reason"), required: true, wide: true, hint: t("reason.hint") }), typed(title)],
      onSubmit: ({ reason }) => write("POST", `${path}/cancel`, { reason }),
    });
    if (!isDone) return;
    notify(t("cancelled"));
    await onDone();
  };

  const draw = async (now) => {
    const { state: step, payments, paymentsRefunded, paymentsFailed, pointsRefunded, cancelledAt, reason } = now;
    const kind = { RUNNING: "warm", WAITING: "bad", DONE: "good" }[step];
    fill(state, h("p", {}, badge(t(`cancel.${step}`), kind), " ", t("cancelledWords", { at: moment(cancelledAt), reason })),
      figures([[t("payments"), payments], [t("paymentsRefunded"), paymentsRefunded], [t("paymentsFailed"), paymentsFailed], [t("pointsRefunded"), points(pointsRefunded), "money"]]));
    progress.max = Math.max(1, payments);
    progress.value = payments ? paymentsRefunded : Number(step === "DONE");
    progress.setAttribute("aria-label", t("progressWords", { done: paymentsRefunded, n: payments }));
    failed.element.hidden = !paymentsFailed;
    if (!element.contains(shown)) fill(element, shown);
    if (before && before.state !== step) announce(t(`cancel.${step}`));
    if (paymentsFailed && before?.paymentsFailed !== paymentsFailed) await failed.load();
    before = now;
  };

  const load = async () => {
    if (performance().status !== "CANCELLED") {
      if (!offer.firstChild && session.may("run")) fill(offer, card(t("cancellation"), h("p", { class: "hint" }, t("cancelOffer")), h("div", { class: "row actions" }, button(t("cancelPerformance"), cancel, "danger"))));
      return;
    }
    fill(offer);
    if (before?.state === "DONE") return;
    const now = await find(`${path}/cancellation`);
    if (now) await draw(now);
  };
  return { element, offer, load };
}

const failedTable = (rows) => table({
  caption: t("paymentsFailed"), rows,
  columns: [
    { name: t("user"), cell: ({ userId }) => h("a", { href: `#/users/${userId}` }, userId) },
    { name: t("payment"), cell: ({ paymentId }) => h("code", {}, paymentId) },
    { name: t("amount"), kind: "amount", cell: ({ amount }) => points(amount) },
    { name: t("reason"), cell: ({ code }) => (has(`code.${code}`) ? t(`code.${code}`) : code) },
  ],
});
