// What a browser loads at its second visit.

import assert from "node:assert/strict";
import { test } from "node:test";

import { tab, visitor } from "./support/browser.js";
import { start } from "./support/server.js";

test("a second visit loads no file of the pages again", { skip: process.env.ONSALE_TEST_PAGES === "source" && "files come from the repository" }, async (t) => {
  const sale = await start(t, { args: ["--demo"] });
  const context = await visitor(t);
  for (const [path, ready] of [["/", "Concerts"], ["/docs", "Problems"]]) {
    const loaded = async () => {
      const page = await tab(t, context, sale.base + path);
      await page.getByRole("heading", { name: ready, exact: true }).waitFor();
      const entries = await page.evaluate(() => performance.getEntriesByType("resource")
        .map(({ name, transferSize, encodedBodySize, decodedBodySize }) => ({ name, transferSize, encodedBodySize, decodedBodySize })));
      await page.close();
      return entries.filter(({ name }) => name.includes("/assets/"));
    };
    const first = await loaded();
    assert.ok(first.length >= 2, JSON.stringify(first));
    const large = first.filter(({ decodedBodySize }) => decodedBodySize > 2_048);
    assert.ok(large.every(({ encodedBodySize, decodedBodySize }) => encodedBodySize < decodedBodySize), "compressed");
    const again = await loaded();
    assert.deepEqual(again.filter(({ transferSize }) => transferSize > 0).map(({ name }) => name), []);
  }
});
