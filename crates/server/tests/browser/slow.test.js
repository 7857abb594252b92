// A slow network: what takes long but still comes in is waited for.

import assert from "node:assert/strict";
import { test } from "node:test";

import { demo, enterHall, visitor } from "./support/browser.js";
import { proxy } from "./support/proxy.js";
import { start } from "./support/server.js";

/** Bytes a second. The whole map takes longer than the page waits for a byte. */
const PACE = 4_000;

test("a map of seats that takes 20 s to arrive is shown", async (t) => {
  const sale = await start(t);
  const concert = await sale.concert({ performances: [{ seats: 1_500 }] });
  const place = await sale.enter("bob", concert);
  const { date } = concert.performances[0];
  const whole = await sale.call("GET", `/concerts/${concert.concertId}/seats?date=${date}`, { token: place.token });
  const seconds = JSON.stringify(whole).length / PACE;
  assert.ok(seconds > 18 && seconds < 40, `the map takes ${seconds} s`);
  const base = await proxy(t, () => sale.base, { isSlow: (path) => path.includes("/seats?"), pace: PACE });
  const page = await demo(t, await visitor(t), { base }, { user: "ada", concert });
  await enterHall(page);
  await page.locator(".grid .seat").first().waitFor({ timeout: 60_000 });
});
