// From the first page to the ticket, as a visitor walks it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { demo, enterHall, visitor } from "./support/browser.js";
import { start } from "./support/server.js";

test("a visitor buys two seats", async (t) => {
  const sale = await start(t);
  const concert = await sale.concert();
  await sale.charge("ada", 500_000);
  const page = await demo(t, await visitor(t), sale, { user: "ada" });
  await page.getByRole("link", { name: /Night of the Locks/ }).click();
  await enterHall(page);
  await page.getByRole("button", { name: /^Seat 7,/ }).click();
  await page.getByRole("button", { name: /^Seat 8,/ }).click();
  await page.getByRole("button", { name: "Hold seats 7, 8" }).click();
  await page.getByRole("button", { name: "Pay 100,000 points" }).click();
  const ticket = page.getByRole("article", { name: "Ticket" });
  await ticket.getByText("7, 8").waitFor();
  const [reservation] = await sale.reservations("ada");
  assert.deepEqual([reservation.status, reservation.seats], ["PAID", [7, 8]]);
  assert.equal(reservation.performanceId, concert.performances[0].performanceId);
});
