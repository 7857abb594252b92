// Two tabs of one visitor show the same.

import { test } from "node:test";

import { demo, enterHall, visitor } from "./support/browser.js";
import { start } from "./support/server.js";

test("two tabs of a user agree on what is held, given back and paid", async (t) => {
  const sale = await start(t);
  const concert = await sale.concert();
  await sale.charge("ada", 500_000);
  const context = await visitor(t);
  const pages = [await demo(t, context, sale, { user: "ada", concert }), await demo(t, context, sale, { user: "ada", concert })];
  for (const page of pages) await enterHall(page);
  const [one, other] = pages;
  const mine = (page) => page.getByRole("button", { name: /^Seat 7,.*held for you/ }).waitFor();
  await one.getByRole("button", { name: /^Seat 7,/ }).click();
  await one.getByRole("button", { name: "Hold seat 7" }).click();
  for (const page of pages) await mine(page);
  await other.getByRole("button", { name: "Give the seats back" }).click();
  for (const page of pages) await page.getByRole("button", { name: /^Seat 7,.*available/ }).waitFor();
  await one.getByRole("heading", { name: "Your choice" }).waitFor();
  await other.getByRole("button", { name: /^Seat 7,/ }).click();
  await other.getByRole("button", { name: "Hold seat 7" }).click();
  for (const page of pages) await mine(page);
  await one.getByRole("button", { name: /^Pay / }).click();
  for (const page of pages) await page.getByRole("article", { name: "Ticket" }).waitFor();
  for (const page of pages) await page.locator("#chip").getByText("450,000").waitFor();
  // Read from the server too, not only sent by the tab: after a reload.
  await other.reload();
  await other.getByRole("article", { name: "Ticket" }).waitFor();
});

test("a turn that one tab gives up ends in the other", async (t) => {
  const sale = await start(t);
  const concert = await sale.concert();
  const context = await visitor(t);
  const pages = [await demo(t, context, sale, { user: "ada", concert }), await demo(t, context, sale, { user: "ada", concert })];
  for (const page of pages) await enterHall(page);
  await pages[0].getByRole("button", { name: "Give your turn up" }).click();
  await pages[0].getByRole("button", { name: "Give it up" }).click();
  await pages[1].getByText(/has ended/).waitFor();
});
