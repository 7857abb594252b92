// Korean and English: chosen by the browser or by the switch, on every view, on a phone and on a wide screen.

import assert from "node:assert/strict";
import { test } from "node:test";

import { barriers, demo, shoot, visitor } from "./support/browser.js";
import { start } from "./support/server.js";

const LOOKS = [
  { name: "wide", options: {} },
  { name: "phone", options: { viewport: { width: 390, height: 844 } } },
  { name: "forced", options: { forcedColors: "active" } },
  { name: "still", options: { reducedMotion: "reduce", colorScheme: "dark" } },
];

/** Texts of the page that are in Latin letters alone, but for names, ids, codes and units. */
const english = (page, names) => page.evaluate((names) => {
  const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
  const found = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const text = node.textContent.trim();
    const isCode = node.parentElement.closest("code, [lang=en]");
    const words = names.reduce((left, name) => left.replaceAll(name, ""), text).match(/[A-Za-z]{3,}/g) ?? [];
    if (!isCode && words.some((word) => !["GMT", "UTC", "VIP", "CSV"].includes(word)) && !/[가-힣]/.test(text)) found.push(text);
  }
  return found;
}, names);

for (const { name, options } of LOOKS) {
  test(`a visitor buys a seat in Korean, and nothing is in English (${name})`, async (t) => {
    const sale = await start(t);
    const concert = await sale.concert({ title: "자물쇠의 밤", venue: "한강 돔", queue: { maxActive: 1 } });
    await sale.admin("POST", "/admin/lectures", { title: "줄 서는 법", startsAt: "2090-01-01T00:00:00Z", capacity: 1 });
    const first = await sale.enter("bob", concert);
    await sale.charge("ada", 20_000);
    const context = await visitor(t, { locale: "ko-KR", timezoneId: "Asia/Seoul", ...options });
    await context.addInitScript(() => sessionStorage.setItem("onsale:user", JSON.stringify("ada")));
    const page = await demo(t, context, sale);
    const check = async (at) => {
      await page.waitForFunction(() => !document.getAnimations().length);
      await shoot(page, `korean-${at}-${name}`);
      assert.deepEqual(await english(page, ["ada", "onsale", "Asia/Seoul"]), [], at);
      assert.deepEqual(await barriers(page), [], at);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.ok(wide <= 0, `${at} is ${wide} px too wide`);
    };
    await page.getByRole("button", { name: "신청: 줄 서는 법" }).waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.lang), "ko");
    assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector("main p")).wordBreak), "keep-all");
    await check("home");
    await page.getByRole("link", { name: /자물쇠의 밤/ }).click();
    await page.getByRole("button", { name: "대기열 입장" }).waitFor();
    await check("door");
    await page.getByRole("button", { name: "대기열 입장" }).click();
    await page.getByRole("heading", { name: "내 대기 순서" }).waitFor();
    await check("line");
    await sale.call("DELETE", "/queue/token", { token: first.token });
    await page.getByRole("button", { name: /^좌석 7,/ }).click();
    await check("hall");
    await page.getByRole("button", { name: "좌석 7 잡기" }).click();
    await page.getByRole("button", { name: "50,000포인트 충전" }).click();
    await check("desk");
    await page.getByRole("button", { name: /결제$/ }).click();
    await page.getByRole("article", { name: "티켓" }).waitFor();
    await check("ticket");
    await page.locator("#chip").click();
    await page.getByRole("heading", { name: "내 정보" }).waitFor();
    await check("account");
  });
}

test("the switch keeps the place, the turn and the seats that were chosen, and is remembered", async (t) => {
  const sale = await start(t);
  const concert = await sale.concert({ performances: [{}, { seats: 9 }] });
  await sale.charge("ada", 500_000);
  const context = await visitor(t);
  const page = await demo(t, context, sale, { user: "ada", concert });
  await page.getByRole("button", { name: "Enter the waiting room" }).click();
  await page.locator(".date").nth(1).click();
  await page.getByText("9 seats free").waitFor();
  await page.getByRole("button", { name: /^Seat 9,/ }).click();
  await page.getByRole("button", { name: "Hold seat 9" }).waitFor();
  const korean = page.getByRole("button", { name: "한국어" });
  await korean.focus();
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "좌석 9 잡기" }).waitFor();
  assert.equal(await page.locator(".date").nth(1).getAttribute("aria-pressed"), "true", "the same date");
  assert.equal(await korean.evaluate((button) => button === document.activeElement && button.getAttribute("aria-pressed") === "true"), true);
  assert.equal((await sale.reservations("ada")).length, 0);
  await page.reload();
  await page.getByRole("heading", { name: "좌석을 선택해 주십시오" }).waitFor();
  const other = await demo(t, context, sale);
  await other.getByRole("heading", { name: "공연", exact: true }).waitFor();
  await other.getByRole("button", { name: "English" }).click();
  await other.getByRole("heading", { name: "Concerts", exact: true }).waitFor();
  assert.equal(await other.evaluate(() => document.documentElement.lang), "en");
});

test("refusals are in Korean, too", async (t) => {
  const sale = await start(t);
  const concert = await sale.concert();
  await sale.admin("PATCH", `/admin/concerts/${concert.concertId}`, { closed: true });
  const context = await visitor(t, { locale: "ko-KR" });
  await context.addInitScript(() => sessionStorage.setItem("onsale:user", JSON.stringify("ada")));
  const page = await demo(t, context, sale, { concert });
  await page.getByRole("button", { name: "대기열 입장" }).click();
  await page.locator("#notices").getByText("지금은 판매가 닫혀 있습니다.").waitFor();
});
