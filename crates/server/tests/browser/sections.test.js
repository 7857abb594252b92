// A hall with a layout: sections with their free seats, rows with aisles, a size that can be changed, by keyboard and on a phone.

import assert from "node:assert/strict";
import { test } from "node:test";

import { barriers, demo, enterHall, shoot, visitor } from "./support/browser.js";
import { start } from "./support/server.js";

const ROW = (row, from, to) => ({ row, from, to });
const SECTIONS = [
  { name: "A", rows: [ROW("1", 1, 10), ROW("1", 13, 22), ROW("2", 31, 54)], grade: "VIP", price: 100 },
  { name: "B", rows: Array.from({ length: 30 }, (_, index) => ROW(String(index + 1), 1_000 + index * 20, 1_013 + index * 20)), grade: "R", price: 50 },
  { name: "Wheel", rows: [ROW("W", 5_000, 5_003)], grade: "R", price: 50, accessible: true },
];

const LOOKS = [
  { name: "wide", options: {} },
  { name: "phone", options: { viewport: { width: 390, height: 844 }, hasTouch: true } },
  { name: "forced", options: { forcedColors: "active" } },
];

async function hall(t, options) {
  const sale = await start(t);
  const concert = await sale.concert({ performances: [{ sections: SECTIONS }] });
  await sale.charge("ada", 5_000);
  const page = await demo(t, await visitor(t, options), sale, { user: "ada", concert });
  await enterHall(page);
  await page.locator(".rows .seat").first().waitFor();
  return { sale, concert, page };
}

const section = (page, name) => page.getByRole("group", { name: "Sections" }).getByRole("button", { name: new RegExp(`^${name}`) });

for (const { name, options } of LOOKS) {
  test(`seats of two sections are chosen and held (${name})`, async (t) => {
    const { sale, concert, page } = await hall(t, options);
    await section(page, "A").getByText("44 of 44 free").waitFor();
    await section(page, "Wheel").getByText("accessible").waitFor();
    await page.getByRole("button", { name: /^Seat 10, A, row 1,/ }).click();
    const aisle = await page.evaluate(() => {
      const [left, right] = [10, 13].map((seat) => document.querySelector(`.rows [data-key="${seat}"]`).getBoundingClientRect());
      return right.left - left.right > left.width * 0.8;
    });
    assert.equal(aisle, true, "an aisle where the numbers jump");
    await page.getByRole("group", { name: "Size of the seats" }).getByRole("button", { name: "Larger" }).click();
    for (const where of ["A", "B"]) {
      await section(page, where).click();
      await page.getByRole("button", { name: new RegExp(`, ${where}, row 1,`) }).first().waitFor();
      const { wide, small } = await page.evaluate(() => ({
        wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        small: [...document.querySelectorAll(".rows .seat")].filter((seat) => seat.getBoundingClientRect().width < 24).length,
      }));
      assert.deepEqual([wide <= 0, small], [true, 0], where);
      assert.deepEqual(await barriers(page), [], where);
      await shoot(page, `section-${where}-${name}`);
    }
    await page.getByRole("button", { name: /^Seat 1000, B, row 1,/ }).click();
    await page.getByRole("button", { name: "Hold seats 10, 1000" }).click();
    await page.getByRole("heading", { name: "Held for you" }).waitFor();
    assert.deepEqual((await sale.reservations("ada"))[0].seats, [10, 1_000]);
    await sale.hold("bob", concert, concert.performances[0], [31, 32]);
    await section(page, "A").getByText("41 of 44 free").waitFor();
  });
}

test("the keyboard moves along rows and between them, and opens the next part", async (t) => {
  const { page } = await hall(t, {});
  const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-label"));
  await page.locator('.rows .seat[tabindex="0"]').focus();
  const steps = [
    ["ArrowRight", /^Seat 2, A, row 1,/], ["End", /^Seat 22, A, row 1,/], ["ArrowDown", /^Seat 5[2-4], A, row 2,/],
    ["Home", /^Seat 31, A, row 2,/], ["ArrowLeft", /^Seat 22, A, row 1,/],
  ];
  for (const [key, expected] of steps) {
    await page.keyboard.press(key);
    assert.match(await focused(), expected, key);
  }
  await section(page, "B").focus();
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: /^Seat 1000, B,/ }).waitFor();
  await page.locator("#part").waitFor();
  await page.getByRole("button", { name: "Next free seat" }).press("Enter");
  assert.match(await focused(), /^Seat 100\d, B, row 1,/);
  await page.keyboard.press("PageDown");
  assert.match(await focused(), /^Seat \d+, B, row 1[45],/);
});

test("a seat of another section that was taken meanwhile is dropped from the choice when it is held", async (t) => {
  const { sale, concert, page } = await hall(t, {});
  await page.getByRole("button", { name: /^Seat 1, A,/ }).click();
  await section(page, "B").click();
  await page.getByRole("button", { name: /^Seat 1000, B,/ }).click();
  await sale.hold("bob", concert, concert.performances[0], [1]);
  await page.getByRole("button", { name: "Hold seats 1, 1000" }).click();
  await page.getByRole("alert").filter({ hasText: /number 1/ }).waitFor();
  await page.getByRole("button", { name: "Hold seat 1000" }).click();
  await page.getByRole("heading", { name: "Held for you" }).waitFor();
});
