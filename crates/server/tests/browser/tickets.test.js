// The tickets of a payment on the page of the shop: a QR code for each seat, read back, and the page to keep.

import assert from "node:assert/strict";
import { test } from "node:test";

import { barriers, demo, enterHall, shoot, visitor } from "./support/browser.js";
import { start } from "./support/server.js";

/** Runs in the page: what the decoder of the door reads in a picture. */
async function read(image) {
  const { decodeQR } = await import(document.querySelector("script[type=module]").src.replace("demo.js", "vendor-qr.js"));
  const side = 4 * image.clientWidth;
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: side, height: side });
  const context = canvas.getContext("2d");
  context.fillStyle = getComputedStyle(image).backgroundColor;
  context.fillRect(0, 0, side, side);
  context.drawImage(image, 0, 0, side, side);
  return decodeQR(context.getImageData(0, 0, side, side));
}

for (const colorScheme of ["light", "dark"]) {
  test(`a visitor gets a QR code and a PDF for each seat, in ${colorScheme} colours`, async (t) => {
    const sale = await start(t);
    const concert = await sale.concert({ title: "자물쇠의 밤" });
    await sale.charge("ada", 500_000);
    const page = await demo(t, await visitor(t, { colorScheme }), sale, { user: "ada", concert });
    await enterHall(page);
    for (const seat of [7, 8]) await page.getByRole("button", { name: new RegExp(`^Seat ${seat},`) }).click();
    await page.getByRole("button", { name: "Hold seats 7, 8" }).click();
    await page.getByRole("button", { name: /^Pay / }).click();
    const codes = page.getByRole("img", { name: /^QR code of the ticket for seat [78]$/ });
    await codes.nth(1).waitFor();
    const [{ paymentId }] = await sale.call("GET", "/users/ada/payments");
    const tickets = await sale.call("GET", `/payments/${paymentId}/tickets`);
    for (const [index, { code, seat }] of tickets.entries()) {
      const image = page.getByAltText(`QR code of the ticket for seat ${seat}`);
      await image.evaluate((image) => image.decode());
      assert.equal(await image.evaluate(read), code);
      // At 96 pixels an inch: 25 mm and more.
      assert.ok((await image.boundingBox()).width >= (25 / 25.4) * 96);
      const address = await page.getByRole("link", { name: "PDF to keep" }).nth(index).evaluate(({ href }) => href);
      const response = await fetch(address);
      assert.deepEqual([response.status, response.headers.get("Content-Type")], [200, "application/pdf"]);
      assert.match(await response.text(), /^%PDF-1\./);
    }
    assert.deepEqual(await barriers(page), []);
    await shoot(page, `tickets-${colorScheme}`);
  });
}
