// Many tabs of one browser share one stream, and move on without it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { demo, visitor } from "./support/browser.js";
import { start, until } from "./support/server.js";

/** Seconds without a sign of life after which a turn is lost: enough for nine tabs on a slow machine. */
const CLAIM = 8;
const ROOM = { maxActive: 1, admitPerSecond: 100, activeSeconds: 3600, claimSeconds: CLAIM };

/** The streams that are open now, and all that were opened, over the tabs of a context. */
function streams(context) {
  const count = { open: new Set(), opened: 0, most: 0 };
  const isStream = (request) => request.url().includes("/queue/token/events");
  context.on("request", (request) => {
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

const inLine = async (page) => {
  await page.getByRole("button", { name: "Enter the waiting room" }).click();
  await page.getByRole("region", { name: "Waiting room" }).waitFor();
};

const hide = (page, isHidden) => page.evaluate((hidden) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
  Object.defineProperty(document, "visibilityState", { configurable: true, get: () => (hidden ? "hidden" : "visible") });
  document.dispatchEvent(new Event("visibilitychange"));
}, isHidden);

/** A room in which all wait until `open` is called, and the streams of a visitor's tabs. */
async function room(t, options) {
  const sale = await start(t);
  const concert = await sale.concert({ queue: { ...ROOM, ...options?.queue } });
  const configure = (settings) => sale.admin("PATCH", `/admin/concerts/${concert.concertId}/queue`, settings);
  await configure({ paused: true });
  const context = await visitor(t, options);
  return { sale, concert, context, count: streams(context), open: () => configure({ paused: false }) };
}

test("nine tabs of one user share a stream, and all are called at once", async (t) => {
  const { sale, concert, context, count, open } = await room(t);
  const pages = [];
  for (let index = 0; index < 9; index++) {
    const page = await demo(t, context, sale, { user: "ada", concert });
    await inLine(page);
    pages.push(page);
  }
  assert.equal(count.most, 1, "one stream for all tabs");
  await open();
  await Promise.all(pages.map((page) => page.getByRole("heading", { name: "Choose your seats" }).waitFor()));
  assert.equal(count.most, 1);
});

test("nine tabs of nine users all move on", async (t) => {
  const { sale, concert, context, count, open } = await room(t, { queue: { maxActive: 9 } });
  const pages = [];
  for (let index = 1; index <= 9; index++) {
    const page = await demo(t, context, sale, { user: `user-${index}`, concert });
    await inLine(page);
    pages.push(page);
  }
  assert.equal(count.most, 1);
  await open();
  await Promise.all(pages.map((page) => page.getByRole("heading", { name: "Choose your seats" }).waitFor()));
});

test("the stream goes to another tab when its tab is hidden or closed, and comes back", async (t) => {
  const { sale, concert, context, count } = await room(t);
  const [first, second] = [await demo(t, context, sale, { user: "ada", concert }), await demo(t, context, sale, { user: "eve", concert })];
  await inLine(first);
  await inLine(second);
  const ofOpen = () => [...count.open].map((request) => request.frame().page()).filter((page) => !page.isClosed());
  await until("a stream of the first tab", () => ofOpen()[0] === first);
  await hide(first, true);
  await until("a stream of the second tab", () => ofOpen().length === 1 && ofOpen()[0] === second);
  await hide(second, true);
  await until("no stream", () => ofOpen().length === 0);
  await hide(first, false);
  await until("a stream of the first tab again", () => ofOpen()[0] === first);
  await hide(second, false);
  await first.close();
  await until("a stream of the second tab again", () => ofOpen()[0] === second);
});

test("a tab out of sight polls, so it keeps its turn and moves on", async (t) => {
  const { sale, concert, context, count, open } = await room(t);
  const page = await demo(t, context, sale, { user: "ada", concert });
  await inLine(page);
  await hide(page, true);
  await until("no stream", () => count.open.size === 0);
  await open();
  await page.getByRole("heading", { name: "Choose your seats" }).waitFor();
  const eve = await sale.enter("eve", concert);
  const later = Date.now() + 2_000 * CLAIM;
  await until("twice the time in which a silent turn is lost", () => Date.now() > later);
  assert.equal((await sale.call("GET", "/queue/token", { token: eve.token })).status, "WAITING");
});

for (const without of [["navigator.locks"], ["BroadcastChannel"], ["navigator.locks", "BroadcastChannel", "EventSource", "SharedWorker", "Worker"]]) {
  test(`tabs move on by polls without ${without.join(", ")}`, async (t) => {
    const { sale, concert, context, count, open } = await room(t, { without });
    const pages = [await demo(t, context, sale, { user: "ada", concert }), await demo(t, context, sale, { user: "ada", concert })];
    for (const page of pages) await inLine(page);
    await open();
    await Promise.all(pages.map((page) => page.getByRole("heading", { name: "Choose your seats" }).waitFor()));
    assert.equal(count.opened, 0);
  });
}

test("a stream that is refused or cut off does not stop a tab, and is opened again", async (t) => {
  const { sale, concert, context, open } = await room(t);
  let refusals = 0;
  await context.route("**/queue/token/events**", (route) => {
    if (refusals++ > 1) return route.continue();
    return refusals === 1 ? route.abort("connectionreset") : route.fulfill({ status: 503, body: "" });
  });
  const page = await demo(t, context, sale, { user: "ada", concert });
  await inLine(page);
  await until("a stream after two that failed", () => refusals > 2);
  await open();
  await page.getByRole("heading", { name: "Choose your seats" }).waitFor();
});

test("a tab whose server is down polls when its stream breaks, and then no sooner than Retry-After", async (t) => {
  const { sale, concert, context, count } = await room(t);
  const page = await demo(t, context, sale, { user: "ada", concert });
  await inLine(page);
  await until("a stream", () => count.open.size === 1);
  let polls = 0;
  await context.route("**/queue/token", (route) => {
    polls++;
    const body = JSON.stringify({ title: "A part is away", status: 503, code: "unavailable" });
    return route.fulfill({ status: 503, contentType: "application/problem+json", headers: { "Retry-After": "60" }, body });
  });
  const before = count.opened;
  await sale.stop("SIGKILL");
  await page.getByText(/Connection lost/).waitFor();
  await until("reconnects that fail", () => count.opened >= before + 4);
  assert.equal(polls, 1);
});

test("what tabs tell each other without channels does not stay in the storage", async (t) => {
  const { sale, concert, context } = await room(t, { without: ["BroadcastChannel"] });
  const [page, other] = [await demo(t, context, sale, { user: "ada", concert }), await demo(t, context, sale, { user: "ada", concert })];
  await other.evaluate(() => {
    globalThis.received = 0;
    addEventListener("storage", ({ key, newValue }) => (globalThis.received += key === "onsale:message" && newValue ? 1 : 0));
  });
  await inLine(page);
  await other.waitForFunction(() => globalThis.received > 0);
  assert.equal(await page.evaluate(() => localStorage.getItem("onsale:message")), null);
});
