// The hall follows its events in place of polls, one stream for the tabs of a browser, and polls when it must.

import assert from "node:assert/strict";
import { test } from "node:test";

import { demo, enterHall, visitor } from "./support/browser.js";
import { start, until } from "./support/server.js";

/** The streams of halls and the maps that the tabs of a context requested. */
function watch(context) {
  const count = { open: new Set(), opened: 0, most: 0, maps: 0 };
  const isStream = (request) => request.url().includes("/seats/events?");
  context.on("request", (request) => {
    if (request.url().includes("/seats?")) count.maps++;
    if (!isStream(request)) return;
    count.opened++;
    count.open.add(request);
    count.most = Math.max(count.most, count.open.size);
  });
  const ended = (request) => count.open.delete(request);
  context.on("requestfinished", ended);
  context.on("requestfailed", ended);
  return count;
}

/** A hall that Ada has entered in this many tabs, and a seat that Bob can hold. */
async function hall(t, tabs, options = {}) {
  const sale = await start(t);
  const concert = await sale.concert();
  const context = await visitor(t, options);
  const count = watch(context);
  const pages = [];
  for (let index = 0; index < tabs; index++) {
    const page = await demo(t, context, sale, { user: "ada", concert });
    await enterHall(page);
    await page.locator(".grid .seat").first().waitFor();
    pages.push(page);
  }
  const hold = (seat) => sale.hold("bob", concert, concert.performances[0], [seat]);
  return { sale, count, pages, hold };
}

const isHeld = (page, seat) => page.getByRole("button", { name: new RegExp(`^Seat ${seat},.* held by a visitor$`) }).waitFor();

test("a tab shows what others hold without a poll", async (t) => {
  const { count, pages: [page], hold } = await hall(t, 1);
  await until("a stream", () => count.open.size === 1);
  await hold(1);
  await isHeld(page, 1);
  const before = count.maps;
  for (const seat of [2, 3]) {
    await hold(seat);
    await isHeld(page, seat);
  }
  assert.ok(count.maps <= before + 1, `${count.maps - before} maps were read`);
});

test("three tabs share a stream, and another one takes it over", async (t) => {
  const { count, pages, hold } = await hall(t, 3);
  await until("a stream", () => count.open.size === 1);
  await hold(1);
  for (const page of pages) await isHeld(page, 1);
  assert.equal(count.most, 1);
  await pages[0].close();
  await until("a stream of another tab", () => [...count.open].some((request) => !request.frame().page().isClosed()));
  await hold(2);
  for (const page of pages.slice(1)) await isHeld(page, 2);
});

test("a tab polls if the stream is refused, or if its browser cannot share one", async (t) => {
  const { count, pages: [page], hold } = await hall(t, 1, { without: ["navigator.locks"] });
  await hold(1);
  await isHeld(page, 1);
  assert.equal(count.opened, 0);
  const refused = await hall(t, 1);
  await refused.pages[0].route("**/seats/events?**", (route) => route.fulfill({ status: 503, body: "" }));
  await refused.pages[0].reload();
  await refused.pages[0].locator(".grid .seat").first().waitFor();
  await refused.hold(1);
  await isHeld(refused.pages[0], 1);
});
