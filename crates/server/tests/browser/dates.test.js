// Dates and times are those of the venue, and say so; the visitor's own are a hint.

import assert from "node:assert/strict";
import { test } from "node:test";

import { demo, enterHall, visitor } from "./support/browser.js";
import { start } from "./support/server.js";

const ZONE = "Asia/Seoul";

/** A hall with one performance at each of these instants, seen from a zone: the texts of its dates. */
async function datesSeen(t, { zone = ZONE, from, instants }) {
  const sale = await start(t, { settings: { ONSALE_TIMEZONE: zone } });
  const concert = await sale.concert({ performances: instants.map((startsAt) => ({ startsAt })) });
  await sale.charge("ada", 500_000);
  const page = await demo(t, await visitor(t, { timezoneId: from }), sale, { user: "ada", concert });
  await enterHall(page);
  const buttons = page.locator(".date");
  await buttons.nth(instants.length - 1).waitFor();
  assert.equal(await buttons.count(), instants.length);
  const seen = [];
  for (const button of await buttons.all()) {
    const hints = await button.locator(".hint").allTextContents();
    seen.push({
      day: await button.locator("strong").textContent(),
      time: await button.locator("span:not(.hint)").textContent(),
      yours: hints.find((text) => text.includes("your time")) ?? null,
    });
  }
  return { sale, page, seen };
}

test("a visitor in Los Angeles reads the venue's date and time, and a hint", async (t) => {
  // 10:00 on 5 December in Seoul is 17:00 on the 4th in Los Angeles.
  const { page, seen } = await datesSeen(t, { from: "America/Los_Angeles", instants: ["2027-12-05T01:00:00Z"] });
  const [{ day, time, yours }] = seen;
  assert.match(day, /\b5 Dec\w* 2027/);
  assert.equal(time, "10:00 GMT+9");
  assert.match(yours, /\b4 Dec.*17:00 GMT-8 your time/);
  await page.getByText(`Dates and times are those of the venue (${ZONE}).`).waitFor();
  assert.match(await page.locator(".banner").textContent(), /\b5 Dec/);

  // The ticket, the history and the lectures say the same.
  await page.getByRole("button", { name: /^Seat 1,/ }).click();
  await page.getByRole("button", { name: "Hold seat 1" }).click();
  await page.getByRole("button", { name: /^Pay / }).click();
  const ticket = page.getByRole("article", { name: "Ticket" });
  await ticket.getByText("10:00 GMT+9").waitFor();
  assert.match(await ticket.textContent(), /\b5 Dec/);
  assert.match(await ticket.locator(".stub").textContent(), /GMT\+9/);
  await page.locator("#chip").click();
  const rows = page.locator("tbody tr");
  await rows.first().getByText(/GMT\+9/).waitFor();
  assert.ok((await rows.allTextContents()).every((text) => text.includes("GMT+9")));
});

test("lectures are shown in the venue's zone too", async (t) => {
  const sale = await start(t, { settings: { ONSALE_TIMEZONE: ZONE } });
  await sale.admin("POST", "/admin/lectures", { title: "Queues that hold", startsAt: "2027-12-05T01:00:00Z" });
  const page = await demo(t, await visitor(t, { timezoneId: "America/Los_Angeles" }), sale);
  const row = page.getByRole("listitem").filter({ hasText: "Queues that hold" });
  await row.getByText(/5 Dec.* 2027, 10:00 GMT\+9/).waitFor();
  await row.getByText(/4 Dec.*17:00 GMT-8 your time/).waitFor();
});

test("a visitor in the venue's zone, or in one with the same time, gets no hint", async (t) => {
  for (const from of [ZONE, "Asia/Tokyo"]) {
    const { seen } = await datesSeen(t, { from, instants: ["2027-12-05T01:00:00Z"] });
    assert.deepEqual([seen[0].time, seen[0].yours], ["10:00 GMT+9", null]);
  }
});

test("an hour that comes twice in autumn is shown with its two offsets", async (t) => {
  // On 7 November 2027 clocks in New York go from 02:00 back to 01:00.
  const instants = ["2027-11-07T05:30:00Z", "2027-11-07T06:30:00Z"];
  const { seen } = await datesSeen(t, { zone: "America/New_York", from: "America/Los_Angeles", instants });
  assert.deepEqual(seen.map(({ time }) => time), ["01:30 GMT-4", "01:30 GMT-5"]);
  assert.ok(seen.every(({ day }) => /\b7 Nov/.test(day)), JSON.stringify(seen));
  assert.match(seen[0].yours, /\b6 Nov.*22:30 GMT-7/);
  assert.match(seen[1].yours, /\b6 Nov.*23:30 GMT-7/);
});

test("the hour that is left out in spring is left out for the visitor alone", async (t) => {
  // On 14 March 2027 clocks in Los Angeles go from 02:00 to 03:00; those in Seoul know no summer time.
  const instants = ["2027-03-14T09:30:00Z", "2027-03-14T10:30:00Z"];
  const { seen } = await datesSeen(t, { from: "America/Los_Angeles", instants });
  assert.deepEqual(seen.map(({ time }) => time), ["18:30 GMT+9", "19:30 GMT+9"]);
  assert.match(seen[0].yours, /01:30 GMT-8/);
  assert.match(seen[1].yours, /03:30 GMT-7/);
});
