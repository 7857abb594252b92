// A hold is shown for as long as it can be paid.

import { test } from "node:test";

import { demo, enterHall, visitor } from "./support/browser.js";
import { inSeconds, start, until } from "./support/server.js";

const SOON = 7;

/** Ada holds seat 7 of a performance that has begun by now; her concert has a later one too. */
async function begun(t) {
  const sale = await start(t, { settings: { ONSALE_QUEUE_ACTIVE_SECONDS: "8" } });
  const startsAt = inSeconds(SOON);
  const concert = await sale.concert({ performances: [{ startsAt }, {}] });
  await sale.charge("ada", 500_000);
  const context = await visitor(t);
  const page = await demo(t, context, sale, { user: "ada", concert });
  await enterHall(page);
  await page.locator(".date").first().click();
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
