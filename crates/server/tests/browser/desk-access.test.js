// The back office by keyboard, by screen reader, on a phone, in both languages, and without serious barriers.

import assert from "node:assert/strict";
import { test } from "node:test";

import { barriers, desk, focused, shoot, visitor } from "./support/browser.js";
import { start, until } from "./support/server.js";

const LOOKS = [
  { name: "wide", options: {} },
  { name: "dark", options: { colorScheme: "dark", locale: "ko-KR" } },
  { name: "phone", options: { viewport: { width: 360, height: 780 }, locale: "ko-KR" } },
  { name: "forced", options: { forcedColors: "active" } },
];

/** A sale with something on each view. */
async function prepared(t) {
  const sale = await start(t, { settings: { ONSALE_CHARGE: "self" } });
  const concert = await sale.concert({ title: "자물쇠의 밤: 기다리는 사람들을 위한 아주 긴 제목의 공연", venue: "한강 돔", performances: [{ seats: [{ from: 1, to: 20, grade: "VIP", price: 120_000 }, { from: 21, to: 60, grade: "R", price: 50_000 }] }] });
  const [performance] = concert.performances;
  await sale.charge("ada", 500_000);
  const { reservationId } = await sale.hold("ada", concert, performance, [1, 2]);
  const { token } = await sale.enter("ada", concert);
  await sale.call("POST", "/payments", { token, body: { reservationId } });
  await sale.hold("bob", concert, performance, [30]);
  const lecture = await sale.admin("POST", "/admin/lectures", { title: "줄 서기의 기술", startsAt: "2090-01-01T00:00:00Z", capacity: 30 });
  await sale.call("POST", "/lectures/apply", { body: { userId: "ada", lectureId: lecture.lectureId } });
  const ofPerformance = `performances/${performance.performanceId}`;
  const views = {
    overview: "", concerts: "concerts", concert: `concerts/${concert.concertId}`,
    performance: ofPerformance, seats: `${ofPerformance}/seats`, attendees: `${ofPerformance}/attendees`,
    lectures: "lectures", lecture: `lectures/${lecture.lectureId}`,
    users: "users", user: "users/ada", log: "log", keys: "keys",
  };
  return { sale, performance, views };
}

test("no view has a serious barrier, or is wider than its screen", async (t) => {
  const { sale, views } = await prepared(t);
  for (const { name, options } of LOOKS) {
    const page = await desk(t, await visitor(t, options), sale);
    for (const [view, path] of Object.entries(views)) {
      await page.goto(`${sale.base}/desk#/${path}`);
      await page.waitForFunction((hash) => location.hash === `#/${hash}` && document.activeElement.matches("h1"), path);
      await page.waitForFunction(() => !/Loading|불러오는/.test(document.getElementById("view").innerText));
      await shoot(page, `desk-${view}-${name}`);
      assert.deepEqual(await barriers(page), [], `${view}, ${name}`);
      const { scroll, client } = await page.evaluate(() => ({ scroll: document.documentElement.scrollWidth, client: document.documentElement.clientWidth }));
      assert.ok(scroll <= client, `${view} is ${scroll} px wide on ${client}`);
    }
    await page.goto(`${sale.base}/desk#/keys`);
    await page.getByRole("button", { name: /^(New key|키 만들기)$/ }).click();
    await page.getByRole("dialog").waitFor();
    assert.deepEqual(await barriers(page), [], `dialog, ${name}`);
    await page.goto(`${sale.base}/desk#/${views.concert}`);
    await page.getByRole("button", { name: /^(Add a performance|회차 추가)$/ }).click();
    await page.getByRole("dialog").waitFor();
    await shoot(page, `desk-dialog-${name}`);
    assert.deepEqual(await barriers(page), [], `dialog, ${name}`);
  }
});

test("the language changes at once, stays for the next visit, and keeps what was typed", async (t) => {
  const { sale, views } = await prepared(t);
  const context = await visitor(t, { locale: "ko-KR" });
  const page = await desk(t, context, sale, { view: "#/users" });
  await page.getByLabel("사용자 ID").fill("ada");
  await page.getByRole("button", { name: "English" }).click();
  await page.getByRole("heading", { name: "Users" }).waitFor();
  assert.equal(await page.getByLabel("User id").inputValue(), "ada");
  assert.equal(await page.evaluate(() => `${document.documentElement.lang} ${document.activeElement.textContent}`), "en English");
  assert.match(await page.title(), /^Users/);
  await page.reload();
  await page.getByRole("heading", { name: "Users" }).waitFor();
  // No Korean text is left on an English page, and no name of a text that is missing.
  for (const path of Object.values(views)) {
    await page.goto(`${sale.base}/desk#/${path}`);
    await page.waitForFunction((hash) => location.hash === `#/${hash}` && document.activeElement.matches("h1"), path);
    await page.waitForFunction(() => !/Loading/.test(document.getElementById("view").innerText));
    const text = (await page.locator("main button, main label, main th[scope=col], main h2").allInnerTexts()).join(" ");
    assert.ok(!/[가-힣]|\b[a-z]+[A-Z]/.test(text), `${path}: ${text}`);
  }
});

test("seats are blocked and unblocked by keyboard, and the focus is never lost", async (t) => {
  const { sale, performance, views } = await prepared(t);
  const page = await desk(t, await visitor(t), sale, { view: `#/${views.seats}` });
  const label = (number) => page.getByRole("button", { name: new RegExp(`^Seat ${number},`) });
  await label(1).focus();
  // From seat 1 (sold) to seat 4, and with Shift to seat 6.
  for (const key of ["ArrowRight", "ArrowRight", "ArrowRight", "Space", "Shift+ArrowRight", "Shift+ArrowRight"]) await page.keyboard.press(key);
  await page.getByText("3 chosen: 3 available, 0 blocked").first().waitFor();
  assert.match(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), /^Seat 6, VIP, 120,000 points, available$/);
  const block = page.getByRole("button", { name: "Block", exact: true });
  await block.focus();
  await page.keyboard.press("Enter");
  // The first field of the dialog has the focus.
  await page.waitForFunction(() => document.activeElement.matches("dialog input, dialog textarea"));
  await page.keyboard.type("sound desk");
  await page.keyboard.press("Enter");
  await page.getByText("3 seats blocked.").waitFor();
  await focused(page, "Block");
  await until("the map shows them", async () => /blocked, sound desk$/.test(await label(5).getAttribute("aria-label")));
  assert.equal((await sale.admin("GET", `/admin/performances/${performance.performanceId}`)).blocked, 3);
  await page.getByLabel("Seat numbers").fill("1, 4-5");
  await page.keyboard.press("Enter");
  await page.getByText(/chosen: 0 available, 2 blocked/).first().waitFor();
  await page.getByRole("button", { name: "Unblock", exact: true }).click();
  await page.getByLabel(/^Reason/).fill("the desk is small");
  await page.keyboard.press("Enter");
  await page.getByText("2 seats unblocked.").waitFor();
  assert.equal((await sale.admin("GET", `/admin/performances/${performance.performanceId}`)).blocked, 1);
  // A dialog that is left by Escape gives the focus back.
  await page.goto(`${sale.base}/desk#/${views.performance}`);
  const change = page.getByRole("button", { name: "Change prices" });
  await change.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  await focused(page, "Change prices");
});
