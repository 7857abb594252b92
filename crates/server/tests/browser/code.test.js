// The presale code: the page asks for it if the server needs one, and keeps it for the visitor.

import assert from "node:assert/strict";
import { test } from "node:test";

import { demo, visitor } from "./support/browser.js";
import { inSeconds, start } from "./support/server.js";

const DOOR = { maxActive: 5, admitPerSecond: 100, activeSeconds: 3600, claimSeconds: 3600 };

/** A concert whose presale lasts for an hour, with a code that may be used once. */
async function presale(t) {
  const sale = await start(t);
  const concert = await sale.concert({ queue: DOOR, performances: [{ seats: 9, price: 0 }] });
  const change = (body) => sale.admin("PATCH", `/admin/concerts/${concert.concertId}`, body);
  await change({ codesUntil: inSeconds(3_600) });
  const codes = [{ code: "FAN-1", uses: 1, usesPerUser: 1, from: null, until: null }];
  await sale.admin("POST", `/admin/concerts/${concert.concertId}/codes`, codes);
  return { sale, concert, change };
}

const field = (page) => page.getByLabel("Presale code");
const use = (page) => page.getByRole("button", { name: "Use this code" });
const enter = (page) => page.getByRole("button", { name: "Enter the waiting room" });

test("the page wants the code at the door, and sends it with the hold", async (t) => {
  const { sale, concert } = await presale(t);
  const page = await demo(t, await visitor(t), sale, { user: "ada", concert });
  await enter(page).click();
  await page.getByText(/these seats are sold with a code/).waitFor();
  assert.equal(await field(page).evaluate((input) => input === document.activeElement), true, "the field has the focus");
  await field(page).fill("fan");
  await use(page).click();
  await page.getByText(/This code is not known/).waitFor();
  assert.equal(await field(page).inputValue(), "fan", "what was typed can be mended");
  await field(page).fill(" FAN-1 ");
  await field(page).press("Enter");
  await page.getByRole("heading", { name: "Choose your seats" }).waitFor();
  await page.getByRole("button", { name: /^Seat 3,/ }).click();
  await page.getByRole("button", { name: "Hold seat 3" }).click();
  await page.getByRole("heading", { name: "Held for you" }).waitFor();
  const [held] = await sale.reservations("ada");
  assert.deepEqual(held.seats, [3]);
});

test("a visitor who was inside before needs the code at the hold", async (t) => {
  const { sale, concert, change } = await presale(t);
  await change({ codesUntil: null });
  const page = await demo(t, await visitor(t), sale, { user: "ada", concert });
  await enter(page).click();
  await page.getByRole("heading", { name: "Choose your seats" }).waitFor();
  await change({ codesUntil: inSeconds(3_600) });
  await page.getByRole("button", { name: /^Seat 3,/ }).click();
  await page.getByRole("button", { name: "Hold seat 3" }).click();
  await field(page).waitFor();
  await field(page).fill("FAN-1");
  await use(page).click();
  await page.getByRole("heading", { name: "Held for you" }).waitFor();
});
