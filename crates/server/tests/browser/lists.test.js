// Lists are longer than a page of the API, and the visitor reaches their ends.

import assert from "node:assert/strict";
import { test } from "node:test";

import { become, demo, tab, visitor } from "./support/browser.js";
import { start } from "./support/server.js";

test("every one of 205 concerts can be reached, by the list and by its address", async (t) => {
  const sale = await start(t);
  const concerts = [];
  for (let number = 1; number <= 205; number++) concerts.push(await sale.concert({ title: `Concert ${number}`, performances: [] }));
  const page = await demo(t, await visitor(t), sale);
  await page.getByRole("link", { name: /Concert 200 / }).waitFor();
  await page.getByRole("button", { name: "Show more concerts" }).click();
  await page.getByRole("link", { name: /Concert 205 / }).waitFor();
  assert.equal(await page.locator(".concert").count(), 205);
  // The keyboard goes on with the first of those that came.
  const focused = await page.evaluate(() => document.activeElement.textContent);
  assert.match(focused, /^Concert 201/);
  assert.equal(await page.getByRole("button", { name: "Show more concerts" }).count(), 0);

  const [last] = concerts.slice(-1);
  const other = await tab(t, page.context(), `${sale.base}/#/concerts/${last.concertId}`);
  await other.getByRole("heading", { name: "Concert 205" }).waitFor();
});

test("every one of 203 lectures can be reached, and stays in sight", async (t) => {
  const sale = await start(t);
  for (let number = 1; number <= 203; number++) {
    const startsAt = new Date(Date.UTC(2090, 0, 1, 0, number)).toISOString();
    await sale.admin("POST", "/admin/lectures", { title: `Lecture ${number}`, startsAt, capacity: 3 });
  }
  const page = await demo(t, await visitor(t), sale, { user: "ada" });
  await page.getByRole("button", { name: "Show more lectures" }).click();
  await page.getByRole("button", { name: "Apply: Lecture 203" }).click();
  await page.getByRole("button", { name: "Cancel: Lecture 203" }).waitFor();
  assert.equal(await page.locator(".lectures li").count(), 203);
});

test("the whole history of points can be reached", async (t) => {
  const sale = await start(t);
  for (let number = 1; number <= 120; number++) await sale.charge("ada", number);
  const page = await demo(t, await visitor(t), sale, { user: "ada" });
  await page.locator("#chip").click();
  const more = page.getByRole("button", { name: "Show more of the history" });
  await more.click();
  await page.locator("tbody tr").nth(99).waitFor();
  await more.click();
  await page.locator("tbody tr").nth(119).waitFor();
  assert.equal(await page.locator("tbody tr").count(), 120);
  assert.equal(await more.count(), 0);
});

test("a ticket is found behind a page of reservations that came to nothing", async (t) => {
  const sale = await start(t);
  const concert = await sale.concert();
  const [performance] = concert.performances;
  await sale.charge("ada", 500_000);
  const { reservationId } = await sale.hold("ada", concert, performance, [7]);
  const { token } = await sale.enter("ada", concert);
  await sale.call("POST", "/payments", { token, body: { reservationId } });
  for (let number = 0; number < 210; number++) {
    const later = await sale.hold("ada", concert, performance, [8]);
    const place = await sale.enter("ada", concert);
    await sale.call("DELETE", `/reservations/${later.reservationId}`, { token: place.token });
  }
  const page = await demo(t, await visitor(t), sale);
  await become(page, "ada");
  await page.locator("#chip").click();
  await page.locator(".tickets").getByText("Seat 7", { exact: true }).waitFor();
});
