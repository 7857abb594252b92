// Payments whose answer is lost: the page finds out what became of them.

import assert from "node:assert/strict";
import { test } from "node:test";

import { demo, enterHall, visitor } from "./support/browser.js";
import { start, until } from "./support/server.js";

const PRICE = 50_000;
const POINTS = 500_000;

/** Ada holds seat 7 of a concert and is about to pay. */
async function aboutToPay(t, settings = {}) {
  const sale = await start(t, { settings });
  const concert = await sale.concert();
  await sale.charge("ada", POINTS);
  const context = await visitor(t);
  const page = await demo(t, context, sale, { user: "ada", concert });
  await enterHall(page);
  await page.getByRole("button", { name: /^Seat 7,/ }).click();
  await page.getByRole("button", { name: "Hold seat 7" }).click();
  const pay = page.getByRole("button", { name: /^Pay / });
  await pay.waitFor();
  return { sale, concert, context, page, pay };
}

/** Loses what goes between the page and `POST /payments`, on the way there or back, until `mend` is called. */
async function broken(context, way) {
  let isBroken = true;
  await context.route("**/payments", async (route) => {
    if (!isBroken || route.request().method() !== "POST") return route.continue();
    if (way === "back") await route.fetch();
    await route.abort("connectionreset");
  });
  return { mend: () => (isBroken = false) };
}

const isPaid = (sale) => until("the payment", async () => (await sale.reservations("ada"))[0].status === "PAID");

const ticketOf = (page) => page.getByRole("article", { name: "Ticket" });

async function assertPaidOnce(sale) {
  const payments = await sale.call("GET", "/users/ada/payments");
  assert.equal(payments.length, 1);
  assert.equal((await sale.call("GET", "/point/ada")).balance, POINTS - PRICE);
}

const ENDED = /turn has ended|seats are free again/i;

test("a payment whose answer was lost ends with the ticket", async (t) => {
  const { sale, context, page, pay } = await aboutToPay(t);
  const line = await broken(context, "back");
  await pay.click();
  // The payment ended the turn: the page learns of that before it knows that it paid.
  await page.getByRole("heading", { name: "Your payment has no answer yet" }).waitFor();
  assert.equal(await page.getByText(ENDED).count(), 0);
  line.mend();
  await ticketOf(page).getByText("7", { exact: true }).waitFor();
  await assertPaidOnce(sale);
});

test("a reload while the answer is lost ends with the ticket too", async (t) => {
  const { sale, context, page, pay } = await aboutToPay(t);
  const line = await broken(context, "back");
  await pay.click();
  await isPaid(sale);
  await page.reload();
  await page.getByRole("heading", { name: "Your payment has no answer yet" }).waitFor();
  assert.equal(await page.getByText(ENDED).count(), 0);
  await page.reload();
  line.mend();
  await ticketOf(page).getByText("7", { exact: true }).waitFor();
  await assertPaidOnce(sale);
});

test("a payment that never arrived is made after a reload", async (t) => {
  const { sale, context, page, pay } = await aboutToPay(t);
  const line = await broken(context, "there");
  await pay.click();
  await page.getByText(/no answer yet/i).first().waitFor();
  line.mend();
  await page.reload();
  await ticketOf(page).waitFor();
  await assertPaidOnce(sale);
});

test("a hold that ended before its payment arrived costs nothing, and the page shows that", async (t) => {
  const { sale, context, page, pay } = await aboutToPay(t, { ONSALE_HOLD_SECONDS: "10" });
  const line = await broken(context, "there");
  await pay.click();
  await until("the end of the hold", async () => (await sale.reservations("ada"))[0].status === "EXPIRED");
  line.mend();
  await page.locator("#notices, .desk .message").getByText(/payment was not made|hold/i).first().waitFor();
  await page.getByRole("heading", { name: "Choose your seats" }).waitFor();
  assert.equal((await sale.call("GET", "/point/ada")).balance, POINTS);
  assert.equal(await ticketOf(page).count(), 0);
});

test("a tab shows the ticket that another tab paid for", async (t) => {
  const { sale, concert, context, page } = await aboutToPay(t);
  const other = await demo(t, context, sale, { user: "ada", concert });
  await enterHall(other);
  await other.getByRole("button", { name: /^Pay / }).click();
  for (const tab of [other, page]) await ticketOf(tab).getByText("7", { exact: true }).waitFor();
  await assertPaidOnce(sale);
  // And goes on from there, as the one that paid.
  await page.getByRole("button", { name: "Book more seats" }).click();
  await enterHall(page);
});

test("a tab that was asleep while another tab paid shows the ticket, also when it pays itself", async (t) => {
  const { sale, concert, context, page, pay } = await aboutToPay(t);
  const isAway = (route) => route.abort("connectionreset");
  for (const path of ["**/queue/token**", "**/concerts/**", "**/users/**"]) await page.route(path, isAway);
  await page.evaluate(() => {
    // Asleep: it receives nothing from other tabs, and sends no request.
    Object.defineProperty(document, "hidden", { get: () => true });
    document.dispatchEvent(new Event("visibilitychange"));
    BroadcastChannel.prototype.dispatchEvent = () => {};
  });
  const other = await demo(t, context, sale, { user: "ada", concert });
  await enterHall(other);
  await other.getByRole("button", { name: /^Pay / }).click();
  await ticketOf(other).waitFor();
  await page.unrouteAll({ behavior: "ignoreErrors" });
  await pay.click({ timeout: 2_000 }).catch(() => {});
  await ticketOf(page).getByText("7", { exact: true }).waitFor();
  await assertPaidOnce(sale);
});

test("a payment that is dismissed while it is settled is said to be not known", async (t) => {
  const { sale, concert, context, page, pay } = await aboutToPay(t);
  await broken(context, "there");
  await pay.click();
  await page.getByText(/no answer yet/i).first().waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "Your payment has no answer yet" }).waitFor();
  const other = await demo(t, context, sale, { user: "ada", concert });
  await other.getByRole("button", { name: "Dismiss" }).click();
  await page.locator("#notices").getByText(/payment was/).filter({ hasText: "is not known" }).waitFor();
  assert.equal(await page.getByText("was not made").count(), 0);
});
