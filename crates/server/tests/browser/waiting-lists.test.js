// A full lecture has a waiting list, which the page joins, shows and leaves.

import assert from "node:assert/strict";
import { test } from "node:test";

import { demo, visitor } from "./support/browser.js";
import { start } from "./support/server.js";

const LECTURE = { title: "Queues that hold", startsAt: "2099-01-10T19:00:00Z", capacity: 1 };

test("a visitor waits for a place, and gets it when another one gives it back", async (t) => {
  const sale = await start(t);
  const { lectureId } = await sale.admin("POST", "/admin/lectures", LECTURE);
  const apply = (userId) => sale.call("POST", "/lectures/apply", { body: { userId, lectureId, waitlist: true } });
  const leave = (userId) => sale.call("DELETE", `/lectures/application/${userId}/${lectureId}`);
  await apply("bob");
  await apply("cyd");
  const page = await demo(t, await visitor(t), sale, { user: "ada" });
  await page.getByRole("button", { name: "Join the waiting list: Queues that hold" }).click();
  await page.getByRole("button", { name: "Leave the waiting list: Queues that hold" }).waitFor();
  await page.getByText("You are number 2 on the waiting list", { exact: true }).waitFor();

  await leave("cyd");
  await page.getByText("You are number 1 on the waiting list", { exact: true }).waitFor();
  await leave("bob");
  await page.getByText("You have a place", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Cancel: Queues that hold" }).click();
  await page.getByRole("button", { name: "Apply: Queues that hold" }).waitFor();
  const history = await sale.admin("GET", `/admin/lectures/${lectureId}/history`);
  const own = history.filter(({ userId }) => userId === "ada").map(({ type }) => type);
  assert.deepEqual(own, ["WAITLISTED", "PROMOTED", "CANCELLED"]);
});

test("a visitor leaves the waiting list", async (t) => {
  const sale = await start(t);
  const { lectureId } = await sale.admin("POST", "/admin/lectures", LECTURE);
  await sale.call("POST", "/lectures/apply", { body: { userId: "bob", lectureId } });
  const page = await demo(t, await visitor(t), sale, { user: "ada" });
  await page.getByRole("button", { name: "Join the waiting list: Queues that hold" }).click();
  await page.getByRole("button", { name: "Leave the waiting list: Queues that hold" }).click();
  await page.getByRole("button", { name: "Join the waiting list: Queues that hold" }).waitFor();
  const { waitlisted } = await sale.admin("GET", `/admin/lectures/${lectureId}`);
  assert.equal(waitlisted, 0);
});
