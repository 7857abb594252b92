// Other writes whose answer is lost: places in lectures, and seats.

import assert from "node:assert/strict";
import { test } from "node:test";

import { demo, enterHall, visitor } from "./support/browser.js";
import { bar, broken, keys, says } from "./support/lost.js";
import { start } from "./support/server.js";

const LECTURE = { title: "Queues that hold", startsAt: "2099-01-10T19:00:00Z", capacity: 3 };

test("a place in a lecture is taken and given back once", async (t) => {
  const sale = await start(t);
  const { lectureId } = await sale.admin("POST", "/admin/lectures", LECTURE);
  const context = await visitor(t);
  const page = await demo(t, context, sale, { user: "ada" });
  const applying = await broken(context, "POST", "**/lectures/apply", "no answer");
  await page.getByRole("button", { name: "Apply: Queues that hold" }).click();
  await says(page, "application").waitFor();
  applying.mend();
  await bar(page).getByRole("button", { name: "Try again" }).click();
  await bar(page).waitFor({ state: "hidden" });
  const leaving = await broken(context, "DELETE", "**/lectures/application/**", "no answer");
  await page.getByRole("button", { name: "Cancel: Queues that hold" }).click();
  await says(page, "cancellation").waitFor();
  leaving.mend();
  // It took effect: the row offers a new application, which first settles the cancellation.
  await page.getByRole("button", { name: "Apply: Queues that hold" }).click();
  await page.getByRole("button", { name: "Cancel: Queues that hold" }).waitFor();
  const history = await sale.admin("GET", `/admin/lectures/${lectureId}/history`);
  assert.deepEqual(history.map(({ type }) => type), ["APPLIED", "CANCELLED", "APPLIED"]);
  assert.deepEqual([keys(applying.seen).length, keys(leaving.seen).length], [2, 1]);
});

test("seats are given back once", async (t) => {
  const sale = await start(t);
  const concert = await sale.concert();
  const context = await visitor(t);
  const page = await demo(t, context, sale, { user: "ada", concert });
  await enterHall(page);
  await page.getByRole("button", { name: /^Seat 7,/ }).click();
  await page.getByRole("button", { name: "Hold seat 7" }).click();
  const line = await broken(context, "DELETE", "**/reservations/*", "unavailable");
  await page.getByRole("button", { name: "Give the seats back" }).click();
  await says(page, "request to give seats back").waitFor();
  line.mend();
  await bar(page).getByRole("button", { name: "Try again" }).click();
  await bar(page).waitFor({ state: "hidden" });
  assert.equal(keys(line.seen).length, 1);
  await page.getByRole("heading", { name: "Your choice" }).waitFor();
});
test("seats whose hold had no answer are shown, not held a second time", async (t) => {
  const sale = await start(t);
  const concert = await sale.concert();
  const context = await visitor(t);
  const page = await demo(t, context, sale, { user: "ada", concert });
  await enterHall(page);
  const line = await broken(context, "POST", "**/reservations", "no answer");
  await page.getByRole("button", { name: /^Seat 7,/ }).click();
  await page.getByRole("button", { name: "Hold seat 7" }).click();
  await page.getByRole("heading", { name: "Held for you" }).or(says(page, "hold")).first().waitFor();
  line.mend();
  await page.getByRole("heading", { name: "Held for you" }).waitFor();
  assert.equal((await sale.reservations("ada")).length, 1);
});

