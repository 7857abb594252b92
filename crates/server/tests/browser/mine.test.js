// The visitor's own page, on another device than the one on which all began; warnings before time runs out; a lost network.

import assert from "node:assert/strict";
import { test } from "node:test";

import { barriers, become, demo, enterHall, shoot, visitor } from "./support/browser.js";
import { start } from "./support/server.js";

const ROOM = { maxActive: 1, admitPerSecond: 100, activeSeconds: 3600, claimSeconds: 3600 };

test("another device shows holds, places, lectures and waiting lists, and goes on with them", async (t) => {
  const sale = await start(t);
  const [open, full] = [await sale.concert({ title: "Open", queue: ROOM }), await sale.concert({ title: "Full", queue: ROOM })];
  await sale.charge("ada", 500_000);
  await sale.enter("bob", full);
  await sale.enter("ada", full);
  await sale.hold("ada", open, open.performances[0], [7, 8]);
  const lectures = [];
  for (const title of ["Rows", "Locks"]) lectures.push(await sale.admin("POST", "/admin/lectures", { title, startsAt: "2090-01-01T10:00:00Z", capacity: 1 }));
  const apply = (userId, { lectureId }) => sale.call("POST", "/lectures/apply", { body: { userId, lectureId, waitlist: true } });
  await apply("ada", lectures[0]);
  await apply("bob", lectures[1]);
  await apply("ada", lectures[1]);
  for (const [name, options] of [["wide", {}], ["phone", { viewport: { width: 390, height: 844 } }]]) {
    const page = await demo(t, await visitor(t, options), sale);
    await become(page, "ada");
    await page.locator("#chip").click();
    const part = (title) => page.getByRole("region", { name: title, exact: true });
    await part("Seats held now").getByText("Seats 7, 8", { exact: true }).waitFor();
    await part("Places in line").getByText("number 1 in line").waitFor();
    await part("Places in line").getByText(/your turn, until .*GMT/).waitFor();
    await part("Lectures").getByText("Rows").waitFor();
    await part("Waiting lists").getByText("You are number 1 on the waiting list").waitFor();
    assert.deepEqual(await barriers(page), [], name);
    await shoot(page, `mine-${name}`);
    await page.getByRole("link", { name: "Go on: Full" }).click();
    await page.getByRole("heading", { name: "Your place in line" }).waitFor();
    await page.goBack();
    await page.getByRole("link", { name: /^Go on to pay/ }).click();
    await page.getByRole("heading", { name: "Held for you" }).waitFor();
  }
});

test("the tickets of a visitor have their codes", async (t) => {
  const sale = await start(t);
  const concert = await sale.concert();
  await sale.charge("ada", 500_000);
  const { reservationId } = await sale.hold("ada", concert, concert.performances[0], [7]);
  const { token } = await sale.enter("ada", concert);
  await sale.call("POST", "/payments", { token, body: { reservationId } });
  const [{ code }] = await sale.call("GET", "/users/ada/tickets");
  const page = await demo(t, await visitor(t), sale, { user: "ada" });
  await page.locator("#chip").click();
  await page.getByText("Codes for the door").click();
  await page.getByText("Seat 7: valid").waitFor();
  await page.getByText(code, { exact: true }).waitFor();
});

test("a visitor is warned before a hold ends, and before a turn ends", async (t) => {
  const sale = await start(t, { settings: { ONSALE_HOLD_SECONDS: "58" } });
  const concert = await sale.concert({ queue: { ...ROOM, maxActive: 5, activeSeconds: 57 } });
  await sale.charge("ada", 500_000);
  const page = await demo(t, await visitor(t), sale, { user: "ada", concert });
  await enterHall(page);
  await page.getByRole("alert").filter({ hasText: /Your turn ends in less than a minute/ }).waitFor();
  await page.getByRole("button", { name: /^Seat 7,/ }).click();
  await page.getByRole("button", { name: "Hold seat 7" }).click();
  await page.getByRole("alert").filter({ hasText: /held for less than a minute/ }).waitFor();
  await page.getByText(/Your turn ends in less than a minute/).waitFor({ state: "hidden" });
  assert.deepEqual(await barriers(page), []);
});

test("a lost network shows in the hall with the time of what is seen, and goes away when it is back", async (t) => {
  const sale = await start(t);
  const concert = await sale.concert();
  const context = await visitor(t);
  const page = await demo(t, context, sale, { user: "ada", concert });
  await enterHall(page);
  await page.getByRole("button", { name: /^Seat 7,/ }).click();
  await context.setOffline(true);
  await page.getByText("Connection lost. Your turn goes on.").waitFor();
  await page.getByText(/The seats are those of \d\d:\d\d:\d\d GMT\+9/).waitFor();
  await page.getByText(/What you see is .* old\. As of \d\d:\d\d:\d\d GMT\+9/).waitFor();
  await context.setOffline(false);
  await page.getByText("Connection lost").waitFor({ state: "hidden" });
  await page.getByText("The seats are those of").waitFor({ state: "hidden" });
  await page.getByRole("button", { name: "Hold seat 7" }).waitFor();
});

test("a paused room shows in the hall", async (t) => {
  const sale = await start(t);
  const concert = await sale.concert();
  const page = await demo(t, await visitor(t), sale, { user: "ada", concert });
  await enterHall(page);
  await sale.admin("PATCH", `/admin/concerts/${concert.concertId}/queue`, { paused: true });
  await page.getByText(/You can go on: your turn and your seats are kept/).waitFor();
});
