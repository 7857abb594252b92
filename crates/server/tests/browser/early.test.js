// Before the sale opens: a countdown by the server's clock, a draw that a visitor can look up, and the call after the opening.

import assert from "node:assert/strict";
import { test } from "node:test";

import { barriers, demo, shoot, tab, visitor } from "./support/browser.js";
import { inSeconds, start } from "./support/server.js";

const ROOM = { maxActive: 1, admitPerSecond: 100, activeSeconds: 3600, claimSeconds: 3600 };

/** A concert that visitors enter since an hour ago. */
async function early(sale, { opens, queue = {} }) {
  const body = { title: "Gala", venue: "Hall", opensAt: inSeconds(opens), queue: { ...ROOM, earlyFrom: inSeconds(-3_600), ...queue } };
  const concert = await sale.admin("POST", "/admin/concerts", body);
  await sale.schedule(concert, { startsAt: inSeconds(7 * 86_400) });
  return concert;
}

const line = (page) => page.getByRole("region", { name: "Waiting room" });

/** Seconds of a countdown such as `1:02:03`. */
const seconds = (text) => text.split(":").reduce((sum, part) => 60 * sum + Number(part), 0);

test("the countdown follows the clock of the server, whatever that of the visitor shows", async (t) => {
  const sale = await start(t);
  const concert = await early(sale, { opens: 600 });
  for (const wrong of [-3_000_000, 3_000_000]) {
    const context = await visitor(t, { timezoneId: "America/Los_Angeles" });
    await context.addInitScript((wrong) => {
      const real = Date.now.bind(Date);
      Date.now = () => real() + wrong;
    }, wrong);
    const page = await demo(t, context, sale, { user: `ada-${Math.abs(wrong)}-${wrong > 0}`, concert });
    await page.getByRole("button", { name: "Enter the waiting room" }).click();
    const timer = line(page).getByRole("timer");
    await timer.waitFor();
    const left = seconds(await timer.textContent());
    assert.ok(left > 400 && left <= 600, `${left} s with a clock that is ${wrong} ms off`);
    await line(page).getByText(/^Number \d in line\.$/).waitFor();
    await line(page).getByText(/It opens on .*GMT\+9.*your time/).waitFor();
    assert.deepEqual(await barriers(page), []);
  }
});

test("an early place outlives a restart of the server and a reload, and is given up by a button", async (t) => {
  const sale = await start(t);
  const concert = await early(sale, { opens: 3_600 });
  const page = await demo(t, await visitor(t), sale, { user: "ada", concert });
  await page.getByRole("button", { name: "Enter the waiting room" }).click();
  await line(page).getByText("Number 1 in line.", { exact: true }).waitFor();
  await sale.stop("SIGKILL");
  await page.getByText(/Connection lost/).waitFor();
  const again = await start(t, { folder: sale.folder, listen: new URL(sale.base).host });
  await page.getByText(/Connection lost/).waitFor({ state: "hidden" });
  await line(page).getByText("Number 1 in line.", { exact: true }).waitFor();
  await page.reload();
  await line(page).getByText("Number 1 in line.", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Leave the line" }).click();
  await page.getByRole("heading", { name: "Once more?" }).waitFor();
  assert.deepEqual(await again.call("GET", "/users/ada/queue-tokens"), []);
});

test("the order is drawn, looked up, and followed", async (t) => {
  const sale = await start(t);
  const concert = await early(sale, { opens: 75, queue: { order: "draw", drawAt: inSeconds(45) } });
  const page = await demo(t, await visitor(t), sale, { user: "ada", concert });
  await page.getByRole("button", { name: "Enter the waiting room" }).click();
  await line(page).getByText(/The order is drawn in/).first().waitFor();
  await sale.enter("bob", concert);
  const [{ tokenId }] = await sale.call("GET", "/users/ada/queue-tokens");
  const draw = await tab(t, page.context(), `${sale.base}/#/draw/${concert.concertId}`);
  await draw.getByText("The list is open.").waitFor();
  assert.deepEqual(await barriers(draw), []);
  await draw.getByText("The order is drawn. Each place can be checked.").waitFor();
  await draw.getByLabel("Token id").fill(tokenId);
  await draw.getByRole("button", { name: "Look up" }).click();
  const found = draw.getByText(/This entry was drawn as number [12] of 2\./);
  await found.waitFor();
  const place = Number(/number (\d)/.exec(await found.textContent())[1]);
  await shoot(draw, "draw");
  await draw.getByLabel("Token id").fill("01938000-0000-7000-8000-00000000000a");
  await draw.getByRole("button", { name: "Look up" }).click();
  await draw.getByText("This entry is not on the list.").waitFor();
  await line(page).getByText(`Drawn: number ${place} in line.`).first().waitFor();
  await shoot(page, "drawn");
  // The first is called at the opening, the second stands in line.
  const next = place === 1 ? "Choose your seats" : "Your place in line";
  await page.getByRole("heading", { name: next }).waitFor({ timeout: 120_000 });
});

test("a waiting room that is not open shows when it opens, and then lets the visitor in", async (t) => {
  const sale = await start(t);
  const concert = await sale.admin("POST", "/admin/concerts", { title: "Gala", venue: "Hall", opensAt: inSeconds(25), queue: ROOM });
  await sale.schedule(concert, { startsAt: inSeconds(7 * 86_400) });
  const page = await demo(t, await visitor(t), sale, { user: "ada", concert });
  await page.getByRole("button", { name: "Enter the waiting room" }).click();
  await page.getByText(/The waiting room opens on .*GMT\+9/).waitFor();
  await page.getByRole("heading", { name: "Choose your seats" }).waitFor();
});

test("the draw page of a concert without a draw shows that", async (t) => {
  const sale = await start(t);
  const concert = await sale.concert();
  const page = await tab(t, await visitor(t), `${sale.base}/#/draw/${concert.concertId}`);
  await page.getByText(/follow the order of arrival/).waitFor();
});
