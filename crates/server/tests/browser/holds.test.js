// A hold is shown for as long as it can be paid.

import assert from "node:assert/strict";
import { test } from "node:test";

import { demo, enterHall, visitor } from "./support/browser.js";
import { inSeconds, start, until } from "./support/server.js";

/** Seconds from the schedule of a performance to its beginning, at least. */
const SOON = 6;

/** Ada holds seat 7 of a performance that has begun by now; her concert has a later one too. */
async function begun(t) {
  const began = Date.now();
  const sale = await start(t);
  const concert = await sale.concert();
  await sale.charge("ada", 500_000);
  const context = await visitor(t);
  const page = await demo(t, context, sale, { user: "ada", concert });
  // A machine that is slow so far gets more time for the choice of the seat.
  const soon = Math.max(SOON, Math.ceil((3 * (Date.now() - began)) / 1_000));
  await sale.admin("PATCH", `/admin/concerts/${concert.concertId}/queue`, { activeSeconds: soon + 1 });
  const startsAt = inSeconds(soon);
  const { performanceId } = await sale.schedule(concert, { startsAt });
  await enterHall(page);
  await page.locator(`.date[data-key="${performanceId}"]`).click();
  await page.getByRole("button", { name: /^Seat 7,/ }).click();
  await page.getByRole("button", { name: "Hold seat 7" }).click();
  await page.getByRole("button", { name: /^Pay / }).waitFor();
  await until("the beginning", () => Date.now() > Date.parse(startsAt) + 100);
  return { sale, concert, context, page };
}

const pay = async (page) => {
  await page.getByRole("button", { name: /^Pay / }).click();
  await page.getByRole("article", { name: "Ticket" }).getByText("7", { exact: true }).waitFor();
};

test("a hold stays in sight when its performance begins", async (t) => {
  const { page } = await begun(t);
  await page.locator('.date[aria-pressed="true"]').getByText("has begun").waitFor();
  await page.getByRole("button", { name: /^Seat 7,.*held for you/ }).waitFor();
  await pay(page);
});

test("a reload after the performance began shows the hold, and it can be paid", async (t) => {
  const { page } = await begun(t);
  await page.reload();
  await page.locator('.date[aria-pressed="true"]').getByText("has begun").waitFor();
  await page.getByRole("button", { name: /^Seat 7,.*held for you/ }).waitFor();
  await pay(page);
});

test("another tab, which remembers nothing, shows the hold too", async (t) => {
  const { sale, concert, page } = await begun(t);
  await page.close();
  const other = await demo(t, await visitor(t), sale, { user: "ada", concert });
  await enterHall(other);
  await pay(other);
});

test("of two holds the second is shown after the first was paid", async (t) => {
  const sale = await start(t);
  const concert = await sale.concert({ performances: [{}, { startsAt: inSeconds(9 * 86_400) }] });
  await sale.charge("ada", 500_000);
  await sale.hold("ada", concert, concert.performances[0], [7]);
  await sale.hold("ada", concert, concert.performances[1], [9]);
  const page = await demo(t, await visitor(t), sale, { user: "ada", concert });
  await enterHall(page);
  await page.getByRole("button", { name: /^Pay / }).click();
  await page.getByRole("button", { name: "Book more seats" }).click();
  await page.getByRole("button", { name: /^Pay / }).click();
  await page.getByRole("article", { name: "Ticket" }).waitFor();
  await until("two tickets", async () => (await sale.reservations("ada")).every(({ status }) => status === "PAID"));
});

/** Ada holds and releases seat 8 so often that what she held before is on the second page of her reservations. */
async function fillPage(sale, concert) {
  const [performance] = concert.performances;
  for (let number = 0; number < 51; number++) {
    const { reservationId } = await sale.hold("ada", concert, performance, [8]);
    const { token } = await sale.enter("ada", concert);
    await sale.call("DELETE", `/reservations/${reservationId}`, { token });
  }
}

test("a hold is found behind a page of later ones that were given back", async (t) => {
  const sale = await start(t);
  const concert = await sale.concert();
  await sale.hold("ada", concert, concert.performances[0], [7]);
  await fillPage(sale, concert);
  const page = await demo(t, await visitor(t), sale, { user: "ada", concert });
  await enterHall(page);
  await page.getByRole("button", { name: /^Seat 7,.*held for you/ }).waitFor();
});

test("a hall reads no reservations behind a page of times that have passed", async (t) => {
  const sale = await start(t, { settings: { ONSALE_HOLD_SECONDS: "1" } });
  const concert = await sale.concert();
  await fillPage(sale, concert);
  await until("the end of every hold", async () => (await sale.reservations("ada")).every(({ heldUntil }) => Date.parse(heldUntil) < Date.now()));
  const context = await visitor(t);
  const asked = [];
  context.on("request", (request) => request.url().includes("/users/ada/reservations") && asked.push(request.url()));
  const page = await demo(t, context, sale, { user: "ada", concert });
  await enterHall(page);
  // The hall looks again every five seconds, once it has started.
  await until("the next look", () => asked.filter((url) => !url.includes("cursor=")).length > 1);
  assert.deepEqual(asked.filter((url) => url.includes("cursor=")), []);
});

test("an extended hold counts down to its new end, and events of its turn ask for nothing", async (t) => {
  const sale = await start(t);
  const concert = await sale.concert();
  const context = await visitor(t);
  const asked = [];
  context.on("request", (request) => request.method() === "GET" && /\/reservations\/[^/]+$/.test(request.url()) && asked.push(request.url()));
  const page = await demo(t, context, sale, { user: "ada", concert });
  await enterHall(page);
  await page.getByRole("button", { name: /^Seat 7,/ }).click();
  await page.getByRole("button", { name: "Hold seat 7" }).click();
  await page.getByRole("button", { name: /^Pay / }).waitFor();
  const minutesLeft = async () => Number((await page.locator(".countdown").textContent()).split(":")[0]);
  assert.ok((await minutesLeft()) <= 5);
  // The turn of ten minutes lasts longer than the hold, before and after: by two minutes, in which a slow machine gets here.
  await sale.admin("POST", `/admin/concerts/${concert.concertId}/holds/extend`, { seconds: 180, reason: "payment was down" });
  await until("the later end", async () => (await minutesLeft()) > 5);
  await sale.admin("PATCH", `/admin/concerts/${concert.concertId}`, { notice: { en: "one" } });
  await page.getByText("one", { exact: true }).waitFor();
  assert.deepEqual(asked, []);
});
