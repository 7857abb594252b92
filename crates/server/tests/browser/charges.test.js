// Charges whose answer is lost: each is made once, over retries, reloads and tabs, and the page shows which outcomes are not known.

import assert from "node:assert/strict";
import { test } from "node:test";

import { demo, visitor } from "./support/browser.js";
import { bar, broken, keys, says } from "./support/lost.js";
import { start, until } from "./support/server.js";

const balance = async (sale, user = "ada") => (await sale.call("GET", `/point/${user}`)).balance;

const charge = (page, amount = "10,000") => page.getByRole("button", { name: `Charge ${amount} points` });

for (const way of ["never arrived", "no answer", "unavailable", "another page", "a proxy's page"]) {
  test(`a charge is made once: ${way}`, async (t) => {
    const sale = await start(t);
    const context = await visitor(t);
    const page = await demo(t, context, sale, { user: "ada" });
    const line = await broken(context, "PATCH", "**/charge", way);
    await charge(page).click();
    await says(page, "charge").waitFor();
    // Over a reload too.
    await page.reload();
    await says(page, "charge").waitFor();
    line.mend();
    await charge(page).click();
    await says(page, "charge").waitFor({ state: "hidden" });
    await page.locator("#chip").getByText("10,000 points").waitFor();
    assert.equal(await balance(sale), 10_000);
    assert.equal(keys(line.seen).length, 1, line.seen.join("\n"));
    // The next one is another one.
    await charge(page).click();
    await page.locator("#chip").getByText("20,000 points").waitFor();
    assert.equal(keys(line.seen).length, 2);
  });
}

test("another amount first settles the charge before it", async (t) => {
  const sale = await start(t);
  const context = await visitor(t);
  const page = await demo(t, context, sale, { user: "ada" });
  const line = await broken(context, "PATCH", "**/charge", "no answer");
  await charge(page).click();
  await says(page, "charge").waitFor();
  // While that fails nothing new is sent.
  await charge(page, "50,000").click();
  await until("the former charge again", async () => line.seen.length > 4);
  await page.locator("[aria-busy=true]").first().waitFor({ state: "detached" });
  assert.ok(line.seen.every((request) => request.endsWith('{"amount":10000}')), line.seen.join("\n"));
  line.mend();
  await charge(page, "50,000").click();
  await page.locator("#chip").getByText("60,000 points").waitFor();
  await page.getByText("The last charge (10,000 points) is done, and was done once.").waitFor();
  assert.equal(await balance(sale), 60_000);
  assert.equal(keys(line.seen).length, 2);
});

test("a balance that was read before a charge and arrives after it is not shown", async (t) => {
  const sale = await start(t);
  const context = await visitor(t);
  const page = await demo(t, context, sale, { user: "ada" });
  const other = await demo(t, context, sale, { user: "ada" });
  let release;
  const held = new Promise((resolve) => (release = resolve));
  const reads = [];
  await page.route("**/point/ada", async (route) => {
    const response = await route.fetch();
    reads.push((await response.json()).balance);
    await held;
    await route.fulfill({ response });
  });
  await charge(other).click();
  await until("the page reads what the other tab did", async () => reads.includes(10_000));
  await charge(page, "50,000").click();
  await page.locator("#chip").getByText("60,000 points").waitFor();
  const late = page.waitForResponse("**/point/ada");
  release();
  await (await late).finished();
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve)));
  assert.match(await page.locator("#chip").innerText(), /60,000/);
});

test("a reload while the answer is awaited keeps the key, and another tab sees it", async (t) => {
  const sale = await start(t);
  const context = await visitor(t);
  const page = await demo(t, context, sale, { user: "ada" });
  const seen = [];
  await context.route("**/charge", async (route) => {
    seen.push(route.request().headers()["idempotency-key"]);
    if (seen.length > 1) return route.continue();
    await route.fetch();
    // No answer at all: the visitor does not wait for it.
  });
  await charge(page).click();
  await until("the charge", async () => (await balance(sale)) === 10_000);
  await page.reload();
  await says(page, "charge").waitFor();
  const other = await demo(t, context, sale, { user: "ada" });
  await says(other, "charge").waitFor();
  await bar(other).getByRole("button", { name: "Try again" }).click();
  for (const tab of [other, page]) {
    await says(tab, "charge").waitFor({ state: "hidden" });
    await tab.locator("#chip").getByText("10,000 points").waitFor();
  }
  assert.equal(keys(seen).length, 1);
  assert.equal(await balance(sale), 10_000);
});

test("a visitor may leave it at that, and another user never sees it", async (t) => {
  const sale = await start(t);
  const context = await visitor(t);
  const page = await demo(t, context, sale, { user: "ada" });
  const line = await broken(context, "PATCH", "**/charge", "never arrived");
  await charge(page).click();
  await says(page, "charge").waitFor();
  const other = await demo(t, context, sale, { user: "bob" });
  // The other page has read what it shows of its user.
  await other.locator("#chip").getByText("0 points").waitFor();
  assert.equal(await bar(other).isVisible(), false);
  await bar(page).getByRole("button", { name: "Dismiss" }).click();
  await bar(page).waitFor({ state: "hidden" });
  line.mend();
  await charge(page, "50,000").click();
  await page.locator("#chip").getByText("50,000 points").waitFor();
  assert.equal(await balance(sale), 50_000);
});

test("a browser without storage, locks and channels keeps the key while the page is open", async (t) => {
  const sale = await start(t);
  const without = ["localStorage", "sessionStorage", "navigator.locks", "BroadcastChannel", "crypto.randomUUID"];
  const context = await visitor(t, { without });
  const page = await demo(t, context, sale, { user: "ada" });
  const line = await broken(context, "PATCH", "**/charge", "no answer");
  await charge(page).click();
  await says(page, "charge").waitFor();
  line.mend();
  await charge(page).click();
  await page.locator("#chip").getByText("10,000 points").waitFor();
  assert.equal(await balance(sale), 10_000);
  assert.equal(keys(line.seen).length, 1);
});

/** Refusals that come before the server looks for the key, and how many attempts of one call get them. */
const UNDECIDED = [
  { status: 503, code: "overloaded", attempts: 4 },
  { status: 429, code: "too-many-requests", attempts: 4 },
  { status: 408, code: "request-timeout", attempts: 4 },
  { status: 401, code: "queue-token-missing", attempts: 1 },
  { status: 403, code: "queue-token-waiting", attempts: 1 },
  { status: 403, code: "origin-not-allowed", attempts: 1 },
  { status: 404, attempts: 1 },
  { status: 405, code: "method-not-allowed", attempts: 1 },
];

const refuse = (route, { status, code }) => route.fulfill({
  status, contentType: "application/problem+json", headers: { "Retry-After": "1" }, body: JSON.stringify({ title: "Not now", status, code }),
});

test("a charge that was under way at a reload keeps its key over every refusal that decides nothing", async (t) => {
  const sale = await start(t);
  const context = await visitor(t);
  const page = await demo(t, context, sale, { user: "ada" });
  const seen = [];
  let answer = (route) => route.fetch();
  await context.route("**/charge", (route) => {
    seen.push(route.request().headers()["idempotency-key"]);
    return answer(route);
  });
  await charge(page).click();
  await until("the charge", async () => (await balance(sale)) === 10_000);
  await page.reload();
  for (const refusal of UNDECIDED) {
    await says(page, "charge").waitFor();
    answer = (route) => refuse(route, refusal);
    const all = seen.length + refusal.attempts;
    await bar(page).getByRole("button", { name: "Try again" }).click();
    await until(`the attempts that get ${refusal.status}`, () => seen.length === all);
    await page.locator("#notices").getByText("is not known yet").last().waitFor();
    await says(page, "charge").waitFor();
  }
  answer = (route) => route.continue();
  await charge(page).click();
  await page.locator("#chip").getByText("10,000 points").waitFor();
  await bar(page).waitFor({ state: "hidden" });
  assert.equal(await balance(sale), 10_000);
  assert.equal(keys(seen).length, 1);
});

test("a refusal that decides nothing keeps the key after a lost attempt of the same call", async (t) => {
  const sale = await start(t);
  const context = await visitor(t);
  const page = await demo(t, context, sale, { user: "ada" });
  const seen = [];
  await context.route("**/charge", async (route) => {
    seen.push(route.request().headers()["idempotency-key"]);
    if (seen.length > 2) return route.continue();
    if (seen.length === 2) return refuse(route, { status: 401, code: "authentication-required" });
    await route.fetch();
    return route.abort("connectionreset");
  });
  await charge(page).click();
  await says(page, "charge").waitFor();
  await charge(page).click();
  await page.locator("#chip").getByText("10,000 points").waitFor();
  assert.equal(await balance(sale), 10_000);
  assert.equal(keys(seen).length, 1);
});
