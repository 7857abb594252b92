// A slow network: what takes long but still comes in is waited for.

import assert from "node:assert/strict";
import { createServer, request } from "node:http";
import { test } from "node:test";

import { demo, enterHall, visitor } from "./support/browser.js";
import { start } from "./support/server.js";

/** Bytes a second. The whole map takes longer than the page waits for a byte. */
const PACE = 4_000;

/** Between browser and sale: passes everything on, the map of seats at `PACE` alone. Its address. */
async function slowLine(t, sale) {
  const proxy = createServer((incoming, outgoing) => {
    const isMap = incoming.url.includes("/seats?");
    const headers = { ...incoming.headers, ...(isMap && { "accept-encoding": "identity" }) };
    const onward = request(sale.base + incoming.url, { method: incoming.method, headers }, async (answer) => {
      outgoing.writeHead(answer.statusCode, answer.headers);
      if (!isMap) return answer.pipe(outgoing);
      const chunks = [];
      for await (const chunk of answer) chunks.push(chunk);
      const body = Buffer.concat(chunks);
      for (let sent = 0; sent < body.length && !outgoing.destroyed; sent += PACE / 4) {
        outgoing.write(body.subarray(sent, sent + PACE / 4));
        await new Promise((resolve) => setTimeout(resolve, 250));
      }
      return outgoing.end();
    });
    onward.on("error", () => outgoing.destroy());
    incoming.pipe(onward);
  });
  await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  return `http://127.0.0.1:${proxy.address().port}`;
}

test("a map of seats that takes 20 s to arrive is shown", async (t) => {
  const sale = await start(t);
  const concert = await sale.concert({ performances: [{ seats: 1_500 }] });
  const place = await sale.enter("bob", concert);
  const { date } = concert.performances[0];
  const whole = await sale.call("GET", `/concerts/${concert.concertId}/seats?date=${date}`, { token: place.token });
  const seconds = JSON.stringify(whole).length / PACE;
  assert.ok(seconds > 18 && seconds < 40, `the map takes ${seconds} s`);
  const base = await slowLine(t, sale);
  const page = await demo(t, await visitor(t), { base }, { user: "ada", concert });
  await enterHall(page);
  await page.locator(".grid .seat").first().waitFor({ timeout: 60_000 });
});
