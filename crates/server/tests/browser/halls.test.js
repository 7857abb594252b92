// Halls of every size fit the screen, stay quick, and are used by keyboard alone.

import assert from "node:assert/strict";
import { test } from "node:test";

import { demo, enterHall, shoot, visitor } from "./support/browser.js";
import { start } from "./support/server.js";

const WIDE = { width: 1440, height: 900 };
const PHONE = { width: 390, height: 844 };

/** A finger's target is at least this wide and high, in CSS pixels (WCAG 2.5.8). */
const TARGET_MIN = 24;

/** The first page of a hall with that many seats, and how long it took to show it, in milliseconds. */
async function hall(t, seats, viewport, options = {}) {
  const sale = await start(t);
  const best = Math.ceil(seats / 5);
  const sections = [{ from: 1, to: best, grade: "VIP", price: 120_000 }];
  if (best < seats) sections.push({ from: best + 1, to: seats, grade: "R", price: 50_000 });
  const concert = await sale.concert({ performances: [{ seats: sections }] });
  await sale.charge("ada", 500_000);
  const page = await demo(t, await visitor(t, { viewport, ...options }), sale, { user: "ada", concert });
  const began = Date.now();
  await enterHall(page);
  await page.locator(".grid .seat").first().waitFor();
  return { sale, concert, page, took: Date.now() - began };
}

/** Seats that are cut off, cover each other or are too small to touch. */
const misplaced = (page, least) => page.evaluate((least) => {
  const wrong = [];
  const card = document.querySelector(".hall").getBoundingClientRect();
  const boxes = [...document.querySelectorAll(".grid .seat")].map((seat) => [seat.textContent, seat.getBoundingClientRect(), seat]);
  for (const [name, box, seat] of boxes) {
    if (box.left < card.left || box.right > card.right) wrong.push(`${name} is cut off: ${box.left} to ${box.right}`);
    if (box.width < least || box.height < least) wrong.push(`${name} is ${box.width} by ${box.height}`);
    if (seat.scrollWidth > seat.clientWidth + 1) wrong.push(`${name} does not fit its button`);
  }
  for (let index = 1; index < boxes.length; index++) {
    const [, one] = boxes[index - 1];
    const [name, other] = boxes[index];
    if (other.left > one.left && other.left < one.right - 1) wrong.push(`${name} covers the seat before it`);
  }
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) wrong.push(`the page is ${scrollWidth} wide on ${clientWidth}`);
  return wrong;
}, least);

for (const seats of [1, 50, 101, 200, 2_000]) {
  test(`a hall of ${seats} seats fits a wide screen and a phone`, async (t) => {
    for (const viewport of [WIDE, PHONE]) {
      const { page } = await hall(t, seats, viewport);
      assert.deepEqual(await misplaced(page, TARGET_MIN), [], `at ${viewport.width} px`);
      await shoot(page, `hall-${seats}-${viewport.width}`);
    }
  });
}

test("a hall that fits stays so when the window is made narrow", async (t) => {
  const { page } = await hall(t, 200, WIDE);
  for (const width of [1100, 861, 700, 390, 320, 1440]) {
    await page.setViewportSize({ width, height: 900 });
    await page.waitForFunction(() => !document.getAnimations().length);
    // The columns follow in the frame after that.
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
    assert.deepEqual(await misplaced(page, TARGET_MIN), [], `at ${width} px`);
  }
});

test("a hall of 100,000 seats is shown in parts, and a seat is held by keyboard alone", async (t) => {
  for (const viewport of [WIDE, PHONE]) {
    const { sale, page, took } = await hall(t, 100_000, viewport);
    assert.ok(took < 45_000, `it took ${took} ms`);
    const elements = await page.evaluate(() => document.querySelectorAll("*").length);
    assert.ok(elements < 2_000, `${elements} elements`);
    assert.deepEqual(await misplaced(page, TARGET_MIN), []);
    await shoot(page, `hall-100000-${viewport.width}`);

    await page.getByLabel("Seat number").focus();
    await page.keyboard.type("87654");
    await page.keyboard.press("Enter");
    const focused = () => page.evaluate(() => document.activeElement.getAttribute("aria-label"));
    assert.match(await focused(), /^Seat 87654,/);
    assert.deepEqual(await misplaced(page, TARGET_MIN), []);
    await shoot(page, `hall-87654-${viewport.width}`);
    await page.keyboard.press("ArrowRight");
    assert.match(await focused(), /^Seat 87655,/);
    await page.keyboard.press("PageUp");
    assert.match(await focused(), /^Seat 87455,/);
    await page.keyboard.press("Home");
    await page.keyboard.press("ArrowLeft");
    assert.match(await focused(), /^Seat 87400,/);
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Hold seat 87400" }).focus();
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: /^Pay / }).waitFor();
    assert.deepEqual((await sale.reservations("ada"))[0].seats, [87_400]);
    await page.getByRole("button", { name: /^Seat 87400,.*held for you/ }).waitFor();
  }
});

test("the next free seat is found behind parts that are sold", async (t) => {
  const { sale, concert, page } = await hall(t, 450, WIDE);
  const [performance] = concert.performances;
  for (let number = 1; number <= 220; number += 4) {
    await sale.hold(`bob-${number}`, concert, performance, [number, number + 1, number + 2, number + 3]);
  }
  await page.getByRole("button", { name: /^Seat 200,.*held by/ }).waitFor();
  await page.getByRole("option", { name: "1–200 · none free" }).waitFor({ state: "attached" });
  await page.getByRole("option", { name: "201–400 · 180 free" }).waitFor({ state: "attached" });
  await page.getByRole("button", { name: "Next free seat" }).click();
  const focused = await page.evaluate(() => document.activeElement.getAttribute("aria-label"));
  assert.match(focused, /^Seat 221, R, 50,000 points, available/);
  await page.getByLabel("Seat number").fill("451");
  await page.keyboard.press("Enter");
  await page.getByText("There is no seat 451.").waitFor();
});

test("seats differ without their colours", async (t) => {
  for (const options of [{ forcedColors: "active" }, { colorScheme: "dark" }, {}]) {
    const { sale, concert, page } = await hall(t, 50, WIDE, options);
    const [performance] = concert.performances;
    await sale.hold("bob", concert, performance, [1]);
    const sold = await sale.hold("cid", concert, performance, [2]);
    await sale.charge("cid", 500_000);
    const { token } = await sale.enter("cid", concert);
    await sale.call("POST", "/payments", { token, body: { reservationId: sold.reservationId } });
    await page.getByRole("button", { name: /^Seat 1,.*held by/ }).waitFor();
    await page.getByRole("button", { name: /^Seat 2,.*sold/ }).waitFor();
    await page.getByRole("button", { name: /^Seat 3,/ }).click();
    const looks = await page.evaluate(() => Object.fromEntries([1, 2, 3, 4].map((number) => {
      const seat = document.querySelector(`.grid [data-key="${number}"]`);
      const { borderTopStyle, borderTopWidth, fontSize } = getComputedStyle(seat);
      return [number, [borderTopStyle, borderTopWidth, fontSize === "0px", getComputedStyle(seat, "::after").content].join(" ")];
    })));
    assert.equal(new Set(Object.values(looks)).size, 4, `held, sold, chosen, free: ${JSON.stringify(looks)}`);
    const shapes = await page.evaluate(() => [4, 11].map((number) => getComputedStyle(document.querySelector(`.grid [data-key="${number}"]`)).borderRadius));
    assert.notEqual(shapes[0], shapes[1], "grades differ");
    await shoot(page, `states-${options.forcedColors ?? options.colorScheme ?? "light"}`);
  }
});

test("Previous on the first part and Next on the last change nothing", async (t) => {
  const { page } = await hall(t, 450, WIDE);
  const seats = page.locator(".grid .seat");
  const shown = async () => [await seats.count(), await seats.first().textContent(), await page.locator("#part").inputValue()];
  // By force: Playwright does not click what is `aria-disabled`, a visitor can.
  const ways = { mouse: (button) => button.click({ force: true }), Enter: (button) => button.press("Enter") };
  for (const [way, press] of Object.entries(ways)) {
    const at = async (name, expected) => {
      await press(page.getByRole("button", { name, exact: true }));
      assert.deepEqual(await shown(), expected, `${name} by ${way}`);
    };
    await at("Previous", [200, "1", "0"]);
    await at("Next", [200, "201", "1"]);
    await at("Next", [50, "401", "2"]);
    await at("Next", [50, "401", "2"]);
    await at("Previous", [200, "201", "1"]);
    await at("Previous", [200, "1", "0"]);
  }
});
