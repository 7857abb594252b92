// Behind a proxy that puts the server below a path of its own.

import assert from "node:assert/strict";
import { test } from "node:test";

import { demo, enterHall, tab, visitor } from "./support/browser.js";
import { proxy } from "./support/proxy.js";
import { start } from "./support/server.js";

test("a visitor buys a seat at a server below a path", async (t) => {
  let sale;
  const base = await proxy(t, () => sale.base, { prefix: "/box/office" });
  sale = await start(t, { settings: { ONSALE_PUBLIC_URL: base } });
  for (let number = 1; number <= 201; number++) await sale.concert({ title: `Concert ${number}`, performances: [] });
  const concert = await sale.concert({ title: "The last one" });
  await sale.charge("ada", 500_000);
  const context = await visitor(t);
  const page = await demo(t, context, { base }, { user: "ada" });
  await page.getByRole("button", { name: "Show more concerts" }).click();
  await page.getByRole("link", { name: /The last one/ }).click();
  await enterHall(page);
  await page.getByRole("button", { name: /^Seat 7,/ }).click();
  await page.getByRole("button", { name: "Hold seat 7" }).click();
  await page.getByRole("button", { name: /^Pay / }).click();
  await page.getByRole("article", { name: "Ticket" }).waitFor();
  assert.equal((await sale.reservations("ada"))[0].performanceId, concert.performances[0].performanceId);
  await page.getByRole("navigation").getByRole("link", { name: "API" }).click();
  await page.getByRole("heading", { name: "Problems", exact: true }).waitFor();
  const other = await tab(t, context, `${base}/#/concerts/${concert.concertId}`);
  await other.getByRole("heading", { name: "The last one" }).waitFor();
});
