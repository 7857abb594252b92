// The back office in Korean: an organiser makes a concert, opens it, runs its sale, and cancels a performance.

import assert from "node:assert/strict";
import { test } from "node:test";

import { desk, visitor } from "./support/browser.js";
import { inSeconds, start, until } from "./support/server.js";

/** A value of a field for a time: the clock of the venue, nine hours ahead of UTC. */
const seoul = (instant) => new Date(Date.parse(instant) + 9 * 3_600_000).toISOString().slice(0, 16);

const TITLE = "한국어로 아주 길게 적은 공연 제목: 자물쇠의 밤과 새벽 사이, 기다리는 사람들을 위한 두 번째 앙코르";

const button = (page, name) => page.getByRole("button", { name, exact: true });

/** A state on the page. The same words may also be read aloud from a hidden text. */
const badge = (page, words) => page.locator(".badge").getByText(words, { exact: true });

/** A figure of the page, as text. */
const figure = (page, name) => page.locator(".figures div", { has: page.locator("dt", { hasText: new RegExp(`^${name}$`) }) }).locator("dd").first();

test("an organiser runs a whole sale in Korean", async (t) => {
  const sale = await start(t, { settings: { ONSALE_TIMEZONE: "Asia/Seoul" } });
  const context = await visitor(t, { locale: "ko-KR", timezoneId: "America/New_York" });
  const { key } = await sale.admin("POST", "/admin/keys", { name: "김운영", role: "organiser" });
  const page = await desk(t, context, sale, { key, view: "#/concerts" });
  assert.equal(await page.evaluate(() => document.documentElement.lang), "ko");
  await page.getByText("아직 공연이 없습니다.").waitFor();

  // A concert that opens in an hour.
  await button(page, "공연 만들기").click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel(/^제목/).fill(TITLE);
  await dialog.getByLabel(/^장소/).fill("한강 돔");
  await dialog.getByLabel(/^판매 시작/).fill(seoul(inSeconds(3_600)));
  await dialog.getByLabel(/^동시 구매 인원/).fill("200");
  await dialog.getByLabel(/^구매 제한 시간/).fill("30");
  await dialog.getByText("동시 200명 × 30초 = 분당 400명 입장").waitFor();
  await dialog.getByLabel(/^구매 제한 시간/).fill("600");
  await button(dialog, "만들기").click();
  await page.getByRole("heading", { name: TITLE }).waitFor();
  await badge(page, "판매 예정").waitFor();
  const [{ concertId }] = await sale.admin("GET", "/admin/concerts");

  // Two performances with sections and prices.
  for (const [days, first] of [[7, true], [8, false]]) {
    await button(page, "회차 추가").click();
    await dialog.getByLabel(/^시작 시각/).fill(seoul(inSeconds(days * 86_400)));
    const row = (number) => dialog.getByRole("group", { name: `${number}번째 줄`, exact: true }).first();
    await row(1).getByLabel(/^끝 좌석/).fill("20");
    await row(1).getByLabel(/^등급/).fill("VIP");
    await row(1).getByLabel(/^가격/).fill("120000");
    await button(dialog, "구역 추가").click();
    assert.equal(await row(2).getByLabel(/^시작 좌석/).inputValue(), "21");
    await row(2).getByLabel(/^끝 좌석/).fill(first ? "10" : "50");
    await row(2).getByLabel(/^등급/).fill("R");
    await row(2).getByLabel(/^가격/).fill("50000");
    if (first) {
      await button(dialog, "만들기").click();
      await dialog.getByText("끝 좌석이 시작 좌석보다 앞에 있습니다.").first().waitFor();
      await row(2).getByLabel(/^끝 좌석/).fill("50");
    }
    await dialog.getByText("전체 50석, 매진 시 3,900,000포인트").waitFor();
    await button(dialog, "만들기").click();
    await dialog.waitFor({ state: "detached" });
  }
  await until("two performances", async () => (await page.getByRole("row").count()) === 3);
  const concert = await sale.admin("GET", `/admin/concerts/${concertId}`);
  const [early, late] = concert.performances;

  // Opened at once: a buyer comes, buys, and another holds.
  await button(page, "판매 시간 변경").click();
  await dialog.getByLabel(/^판매 시작/).fill("");
  await button(dialog, "저장").click();
  await badge(page, "판매 중").first().waitFor();
  for (const user of ["ada", "bob"]) await sale.charge(user, 500_000);
  const hold = await sale.hold("ada", concert, early, [1, 2]);
  const token = (await sale.enter("ada", concert)).token;
  await sale.call("POST", "/payments", { token, body: { reservationId: hold.reservationId } });
  const other = await sale.hold("bob", concert, late, [30]);
  await until("the figures", async () => (await figure(page, "판매").innerText()) === "2" && (await figure(page, "선점").innerText()) === "1");

  // Paused, with a notice.
  await button(page, "입장 일시 중지").click();
  await page.getByText("입장을 일시 중지했습니다.").first().waitFor();
  assert.equal((await sale.admin("GET", `/admin/concerts/${concertId}/queue`)).paused, true);
  await button(page, "공지 변경").click();
  await dialog.getByLabel(/^한국어 공지/).fill("결제 시간을 10분 연장했습니다.");
  await button(dialog, "저장").click();
  await page.getByRole("definition").getByText("결제 시간을 10분 연장했습니다.").waitFor();
  await button(page, "선점 시간 연장").click();
  await dialog.getByLabel(/^사유/).fill("결제 장애");
  await button(dialog, "연장").click();
  await page.getByText("선점 1건을 10분 연장했습니다.").first().waitFor();
  const held = await sale.call("GET", `/reservations/${other.reservationId}`);
  assert.equal(Date.parse(held.heldUntil) - Date.parse(other.heldUntil), 600_000);
  await button(page, "입장 재개").click();
  await page.getByText("입장을 재개했습니다.").first().waitFor();

  // One buyer gets one seat back.
  await page.goto(`${sale.base}/desk#/users/ada`);
  await button(page, "좌석 환불").click();
  await dialog.getByLabel("2번 좌석").uncheck();
  await dialog.getByLabel(/^사유/).fill("시야 방해");
  await button(dialog, "환불").click();
  await page.getByText("1석을 환불했습니다: 120,000포인트").first().waitFor();
  assert.equal((await sale.call("GET", "/point/ada")).balance, 380_000);

  // The attendees are printed.
  await page.goto(`${sale.base}/desk#/performances/${early.performanceId}/attendees`);
  await page.getByText("관람객 1명").waitFor();
  await page.evaluate(() => (globalThis.print = () => (globalThis.printed = true)));
  await button(page, "전체 인쇄").click();
  await page.waitForFunction(() => globalThis.printed);
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Excel용 CSV" }).click()]);
  assert.match(await (await import("node:fs/promises")).readFile(await download.path(), "utf8"), /^\uFEFFseat,grade,userId,.*\r\n2,VIP,ada,/);

  // One performance is cancelled: the title must be typed.
  await page.goto(`${sale.base}/desk#/performances/${early.performanceId}`);
  await button(page, "회차 취소").click();
  await dialog.getByLabel(/^사유/).fill("출연자 사정");
  await dialog.getByLabel(/^확인을 위해 제목을/).fill("다른 공연");
  await button(dialog, "회차 취소").click();
  await dialog.getByText("제목과 다릅니다.").waitFor();
  await dialog.getByLabel(/^확인을 위해 제목을/).fill(TITLE);
  await button(dialog, "회차 취소").click();
  await badge(page, "완료").waitFor();
  await badge(page, "취소됨").first().waitFor();
  assert.equal(await button(page, "가격 변경").count(), 0);
  assert.equal((await sale.call("GET", "/point/ada")).balance, 500_000);
  await page.goto(`${sale.base}/desk#/`);
  await page.locator("tr", { hasText: TITLE }).filter({ hasText: "취소됨" }).waitFor();
  await page.goto(`${sale.base}/desk#/log`);
  await page.getByRole("cell", { name: "회차 취소" }).waitFor();
});

test("support sees the place of a user in line, and why a refund of a cancelled performance fails", async (t) => {
  const sale = await start(t);
  const concert = await sale.concert({ queue: { maxActive: 1 }, performances: [{ seats: [{ from: 1, to: 20, grade: "R", price: 50_000 }] }] });
  const [{ performanceId }] = concert.performances;
  await sale.charge("ada", 50_000);
  const { reservationId } = await sale.hold("ada", concert, { performanceId }, [1]);
  const { token } = await sale.enter("ada", concert);
  const { paymentId } = await sale.call("POST", "/payments", { token, body: { reservationId } });
  await sale.hold("bob", concert, { performanceId }, [2]);
  await sale.enter("eve", concert);
  // A wallet at its bound cannot take the points back.
  await sale.admin("POST", "/admin/point/ada/adjustments", { amount: 1_000_000_000, reason: "a test of the bound" });
  const page = await desk(t, await visitor(t), sale, { view: "#/users/eve" });
  await page.getByRole("row", { name: "Night of the Locks in line 1" }).waitFor();
  await page.goto(`${sale.base}/desk#/users/bob`);
  await page.getByRole("row", { name: "Night of the Locks may buy" }).waitFor();

  await page.goto(`${sale.base}/desk#/performances/${performanceId}`);
  await button(page, "Cancel this performance").click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel(/^Reason/).fill("rain");
  await dialog.getByLabel(/^Type the title/).fill("Night of the Locks");
  await button(dialog, "Cancel this performance").click();
  await badge(page, "Waiting for failed refunds").waitFor();
  await page.getByRole("row", { name: /^ada .* 50,000 points The wallet would pass/ }).waitFor();
  await page.getByText("There are no refunds.").waitFor();
  // The list of refunds follows by itself.
  await sale.admin("POST", "/admin/point/ada/adjustments", { amount: -50_000, reason: "room for the refund" });
  await sale.admin("POST", `/admin/payments/${paymentId}/refunds`, { reason: "by telephone" });
  await page.getByRole("row", { name: /ada 1 50,000 points 0 points/ }).waitFor();
});
