// Names as long as the API takes them, with and without places to break a line, fit every screen.

import assert from "node:assert/strict";
import { test } from "node:test";

import { demo, enterHall, shoot, visitor } from "./support/browser.js";
import { start } from "./support/server.js";

const NAMES = { letters: "W".repeat(200), korean: "자물쇠의밤".repeat(40), words: "Night of the Locks ".repeat(10).trim() };
const USER = "w".repeat(64);

/** Texts that stick out of the screen, and the page itself if it can be moved sideways. */
const sticking = (page) => page.evaluate(() => {
  const { scrollWidth, clientWidth } = document.documentElement;
  const wide = [...document.querySelectorAll("main *, header *")].filter((element) => {
    const box = element.getBoundingClientRect();
    return box.width > 1 && box.right > clientWidth + 1 && !element.closest(".scroll, .dates, svg");
  });
  // What is short stays on one line, whatever stands beside it.
  for (const element of document.querySelectorAll("nav a, .spread > :last-child, button.link")) {
    if (element.textContent.length < 12 && element.getClientRects().length > 1) wide.push(element);
    if (element.closest(".card")?.getBoundingClientRect().right < element.getBoundingClientRect().right) wide.push(element);
  }
  return [...(scrollWidth > clientWidth ? [`the page is ${scrollWidth} wide on ${clientWidth}`] : []), ...wide.map(({ tagName, className }) => `${tagName}.${className}`)];
});

for (const [kind, name] of Object.entries(NAMES)) {
  test(`names of 200 characters fit a phone and a wide screen (${kind})`, async (t) => {
    for (const width of [390, 1440]) {
      const sale = await start(t);
      const concert = await sale.concert({ title: name, venue: name, performances: [{ seats: [{ from: 1, to: 20, grade: name, price: 100 }] }] });
      await sale.admin("POST", "/admin/lectures", { title: name, lecturer: name, startsAt: "2090-01-01T00:00:00Z" });
      await sale.charge(USER, 1_000);
      const page = await demo(t, await visitor(t, { viewport: { width, height: 900 } }), sale);
      const check = async (at) => {
        await shoot(page, `names-${kind}-${at}-${width}`);
        assert.deepEqual(await sticking(page), [], `${at} at ${width} px`);
      };
      await page.locator("#who").fill(USER);
      await page.getByRole("button", { name: "Continue" }).click();
      await page.locator(".lectures button").waitFor();
      await check("home");
      await page.goto(`${sale.base}/#/concerts/${concert.concertId}`);
      await enterHall(page);
      await page.getByRole("button", { name: /^Seat 7,/ }).click();
      await check("hall");
      await page.getByRole("button", { name: "Hold seat 7" }).click();
      await page.getByRole("button", { name: /^Pay / }).click();
      await page.getByRole("article", { name: "Ticket" }).waitFor();
      await check("ticket");
      await page.locator("#chip").click();
      await page.locator("tbody tr").first().waitFor();
      await check("account");
    }
  });
}
