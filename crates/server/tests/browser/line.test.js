// In line: what a visitor sees of a room that is paused, of a concert that is sold out, and of a server that is lost.

import assert from "node:assert/strict";
import { test } from "node:test";

import { demo, visitor } from "./support/browser.js";
import { start, until } from "./support/server.js";

const ROOM = { maxActive: 1, admitPerSecond: 100, activeSeconds: 3600, claimSeconds: 3600 };

/** Ada stands in line behind Bob, whose turn it is. */
async function inLine(t, { performances, queue = ROOM, ...options } = {}) {
  const sale = await start(t);
  const concert = await sale.concert({ queue, performances });
  const bob = await sale.enter("bob", concert);
  const context = await visitor(t, options);
  const page = await demo(t, context, sale, { user: "ada", concert });
  await page.getByRole("button", { name: "Enter the waiting room" }).click();
  await line(page).waitFor();
  return { sale, concert, bob, context, page };
}

const line = (page) => page.getByRole("region", { name: "Waiting room" });

const configure = (sale, concert, settings) => sale.admin("PATCH", `/admin/concerts/${concert.concertId}/queue`, settings);

test("a paused room is said to be paused, and no time is given", async (t) => {
  const sale = await start(t);
  const concert = await sale.concert();
  await configure(sale, concert, { paused: true });
  const page = await demo(t, await visitor(t), sale, { user: "ada", concert });
  await page.getByRole("button", { name: "Enter the waiting room" }).click();
  await line(page).getByText("The room is paused").first().waitFor();
  const words = await line(page).innerText();
  assert.doesNotMatch(words, /about|any moment|seconds|minutes/i);
  await configure(sale, concert, { paused: false });
  await page.getByRole("heading", { name: "Choose your seats" }).waitFor();
});

test("a pause shows while one waits, and its end too", async (t) => {
  const { sale, concert, page } = await inLine(t);
  assert.equal(await line(page).getByText(/paused/i).first().isVisible(), false);
  await configure(sale, concert, { paused: true });
  await line(page).getByText("The room is paused").first().waitFor();
  await configure(sale, concert, { paused: false });
  await line(page).getByText("The room is paused").first().waitFor({ state: "hidden" });
});

test("sold out is said in the line and on the poster", async (t) => {
  const { sale, concert, bob, context, page } = await inLine(t, { performances: [{ seats: 2, price: 0 }] });
  const poster = await demo(t, context, sale);
  await poster.getByRole("link", { name: /Night of the Locks/ }).waitFor();
  assert.equal(await poster.getByText("Sold out").count(), 0);
  const [{ performanceId }] = concert.performances;
  const held = await sale.call("POST", "/reservations", { token: bob.token, body: { performanceId, seats: [1, 2] } });
  await sale.call("POST", "/payments", { token: bob.token, body: { reservationId: held.reservationId } });
  await page.getByText(/sold out/i).first().waitFor();
  await until("the poster shows it", async () => {
    await poster.reload();
    const link = poster.getByRole("link", { name: /Night of the Locks/ });
    await link.waitFor();
    return link.getByText("Sold out").isVisible();
  });
});

test("a lost server shows in the line with the age of what is seen, and its return too", async (t) => {
  const { sale, page } = await inLine(t);
  const lost = page.getByText(/Connection lost/);
  assert.equal(await lost.isVisible(), false);
  await sale.stop("SIGKILL");
  await lost.waitFor();
  await page.getByText("Your place is kept").first().waitFor();
  await page.getByText(/What you see is \d+ seconds? old/).waitFor();
  await page.getByText(/What you see is ([3-9]|\d\d+) seconds old/).waitFor();
  await line(page).waitFor();
  await start(t, { folder: sale.folder, listen: new URL(sale.base).host });
  await lost.waitFor({ state: "hidden" });
  await line(page).waitFor();
});

test("a turn can be given up in the hall, after one more question", async (t) => {
  const { sale, concert, bob, page } = await inLine(t);
  await sale.call("DELETE", "/queue/token", { token: bob.token });
  await page.getByRole("heading", { name: "Choose your seats" }).waitFor();
  await page.getByRole("button", { name: /^Seat 1,/ }).click();
  await page.getByRole("button", { name: "Hold seat 1" }).click();
  const giveUp = page.getByRole("button", { name: "Give your turn up" });
  await giveUp.click();
  await page.getByRole("button", { name: "Keep it" }).click();
  await giveUp.waitFor();
  assert.equal((await sale.enter("ada", concert)).status, "ACTIVE");
  await giveUp.click();
  await page.getByRole("button", { name: "Give it up" }).click();
  await page.getByText("You gave your turn up.").waitFor();
  assert.deepEqual((await sale.reservations("ada")).map(({ status }) => status), ["RELEASED"]);
  await page.getByRole("button", { name: "Enter the waiting room" }).click();
  await page.getByRole("heading", { name: "Choose your seats" }).waitFor();
});

test("a notice and a closed sale are said in the language of the page, and taken back", async (t) => {
  const { sale, concert, page } = await inLine(t);
  const change = (body) => sale.admin("PATCH", `/admin/concerts/${concert.concertId}`, body);
  await change({ notice: { ko: "결제가 <b>느립니다</b>", en: "Payment is slow" }, closed: true });
  for (const text of ["Payment is slow", "The sale is closed for now"]) await line(page).getByText(text).first().waitFor();
  assert.equal(await line(page).locator("p[lang=ko]").count(), 0);
  await page.getByRole("button", { name: "한국어" }).click();
  const korean = page.getByRole("region", { name: "대기열" });
  for (const text of ["결제가 <b>느립니다</b>", "지금은 판매가 닫혀 있습니다"]) await korean.getByText(text).first().waitFor();
  // What an organiser wrote in one language only is shown in that one.
  await change({ notice: { en: "Payment is back" }, closed: false });
  await korean.getByText("Payment is back").waitFor();
  assert.equal(await korean.locator("p[lang=en]").count(), 1);
  assert.equal(await korean.getByText("지금은 판매가 닫혀 있습니다").count(), 0);
  await change({ notice: null });
  await korean.getByText("Payment is back").waitFor({ state: "hidden" });
});

test("a notice is said at the door, before a visitor has entered", async (t) => {
  const sale = await start(t);
  const concert = await sale.concert();
  const notice = { ko: "30분 늦게 시작합니다", en: "We begin 30 minutes later" };
  await sale.admin("PATCH", `/admin/concerts/${concert.concertId}`, { notice, closed: true });
  const page = await demo(t, await visitor(t), sale, { user: "ada", concert });
  const door = page.locator("section.door");
  await door.getByRole("button", { name: "Enter the waiting room" }).waitFor();
  await door.getByText(notice.en).waitFor();
  assert.equal(await door.getByText(notice.ko).count(), 0);
  await door.getByRole("button", { name: "Enter the waiting room" }).click();
  await page.getByText("The sale of this concert is closed").first().waitFor();
});
