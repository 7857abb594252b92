// Browsers of 2021 (Chrome 90, Firefox 90, Safari 15) and pages on plain http lack what these tests take away.

import assert from "node:assert/strict";
import { test } from "node:test";

import { demo, enterHall, tab, visitor } from "./support/browser.js";
import { start } from "./support/server.js";

const NEWER = [
  "AbortSignal.timeout", "AbortSignal.any", "AbortSignal.prototype.throwIfAborted", "Array.prototype.at", "String.prototype.at",
  "Array.prototype.findLast", "Array.prototype.findLastIndex", "Array.prototype.toSorted", "Array.prototype.toReversed",
  "Array.prototype.toSpliced", "Array.prototype.with", "Array.fromAsync", "Object.hasOwn", "Object.groupBy", "Map.groupBy",
  "Promise.withResolvers", "Promise.try", "Error.prototype.cause", "structuredClone", "ReadableStream.from",
  "URL.canParse", "URL.parse", "requestIdleCallback", "scheduler", "Intl.DurationFormat", "Intl.supportedValuesOf",
  "Element.prototype.checkVisibility", "HTMLElement.prototype.showPopover", "Document.prototype.startViewTransition",
  "Set.prototype.union", "Set.prototype.intersection", "Iterator", "Iterator.prototype.map", "CSSStyleSheet.prototype.replaceSync",
];

/** What `http://192.168.0.7` does not have: it is no secure context. */
const SECURE = ["crypto.randomUUID", "crypto.subtle", "navigator.clipboard", "navigator.locks", "navigator.serviceWorker"];

async function buy(t, context, sale) {
  const concert = await sale.concert();
  await sale.charge("ada", 500_000);
  const page = await demo(t, context, sale, { user: "ada", concert });
  await enterHall(page);
  await page.getByRole("button", { name: /^Seat 7,/ }).click();
  await page.getByRole("button", { name: "Hold seat 7" }).click();
  await page.getByRole("button", { name: /^Pay / }).click();
  await page.getByRole("article", { name: "Ticket" }).waitFor();
  await page.locator("#chip").click();
  await page.locator(".tickets").getByText("Seat 7", { exact: true }).waitFor();
  await page.getByRole("button", { name: /^Charge 10,000/ }).click();
  await page.locator("tbody tr").nth(2).waitFor();
}

test("a browser of 2021 buys a seat", async (t) => {
  const sale = await start(t);
  const context = await visitor(t, { without: NEWER });
  await buy(t, context, sale);
});

test("a browser on plain http, and one without channels between tabs, buys a seat", async (t) => {
  const sale = await start(t);
  const context = await visitor(t, { without: [...NEWER, ...SECURE, "BroadcastChannel", "SharedWorker"] });
  await buy(t, context, sale);
});

test("a visitor who is not the first waits in line in such a browser", async (t) => {
  const sale = await start(t);
  const concert = await sale.concert({ queue: { maxActive: 1 } });
  const first = await sale.enter("bob", concert);
  const context = await visitor(t, { without: [...NEWER, ...SECURE, "BroadcastChannel"] });
  const page = await demo(t, context, sale, { user: "ada", concert });
  await page.getByRole("button", { name: "Enter the waiting room" }).click();
  await page.getByRole("heading", { name: "Your place in line" }).waitFor();
  await sale.call("DELETE", "/queue/token", { token: first.token });
  await page.getByRole("heading", { name: "Choose your seats" }).waitFor();
});

test("the API description opens in such a browser", async (t) => {
  const sale = await start(t);
  const page = await tab(t, await visitor(t, { without: [...NEWER, ...SECURE], viewport: { width: 390, height: 844 } }), `${sale.base}/docs`);
  await page.getByRole("heading", { name: "Problems", exact: true }).waitFor();
  await page.getByRole("button", { name: "Operations" }).click();
  await page.locator("#groups a").first().waitFor();
  await page.locator("#groups").getByRole("link", { name: /POST/ }).first().click();
});

test("styles that such a browser lacks have a fallback", async (t) => {
  const sale = await start(t);
  const context = await visitor(t);
  for (const path of ["/", "/docs"]) {
    const page = await tab(t, context, sale.base + path);
    const bare = await page.evaluate(() => {
      const plain = (rules) => [...rules].flatMap((rule) => (rule instanceof CSSMediaRule ? plain(rule.cssRules) : rule instanceof CSSStyleRule ? [rule.cssText] : []));
      return [...document.styleSheets].flatMap((sheet) => plain(sheet.cssRules)).filter((text) => /color-mix|oklch|oklab|:has\(|light-dark|\d[ds]v[hw]\b/.test(text));
    });
    assert.deepEqual(bare, []);
  }
});
