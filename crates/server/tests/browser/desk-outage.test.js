// A back office that is left open: the server is restarted, and the database is lost.

import assert from "node:assert/strict";
import { test } from "node:test";

import { desk, visitor } from "./support/browser.js";
import { postgres } from "./support/postgres.js";
import { start } from "./support/server.js";

const banner = (page) => page.locator("#banner");

const names = async (sale) => (await sale.admin("GET", "/admin/keys")).map(({ name }) => name);

test("a back office that is left open over a restart goes on by itself", async (t) => {
  const sale = await start(t);
  const page = await desk(t, await visitor(t), sale, { view: "#/keys" });
  await page.getByRole("button", { name: "New key" }).click();
  await page.getByLabel(/^Name/).fill("night shift");
  await sale.stop();
  await banner(page).getByText("The server does not answer.").waitFor();
  const again = await start(t, { folder: sale.folder, listen: new URL(sale.base).host });
  await banner(page).getByText("The server does not answer.").waitFor({ state: "hidden" });
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByRole("heading", { name: "Key of night shift" }).waitFor();
  assert.deepEqual(await names(again), ["night shift"]);
});

test("a change whose answer is lost is sent again under its key, and is done once", async (t) => {
  const sale = await start(t);
  const page = await desk(t, await visitor(t), sale, { view: "#/users/ada" });
  const keys = [];
  await page.route("**/adjustments", async (route) => {
    keys.push(route.request().headers()["idempotency-key"]);
    if (keys.length > 1) return route.continue();
    await route.fetch();
    return route.abort("connectionreset");
  });
  await page.getByRole("button", { name: "Correct points" }).click();
  await page.getByLabel(/^Points to add or remove/).fill("500");
  await page.getByLabel(/^Reason/).fill("a gift");
  await page.keyboard.press("Enter");
  await page.getByText("Balance: 500 points").waitFor();
  assert.equal(new Set(keys).size, 1);
  assert.equal((await sale.call("GET", "/point/ada")).balance, 500);
});

test("live figures become old at a restart, and are live again after it", async (t) => {
  const sale = await start(t);
  const page = await desk(t, await visitor(t), sale);
  await page.getByText("Live, once a second").waitFor();
  await page.getByRole("img", { name: /^In line: 0 now/ }).waitFor();
  await sale.stop();
  await page.getByText(/Connection lost. The figures are of/).waitFor();
  await start(t, { folder: sale.folder, listen: new URL(sale.base).host });
  await page.getByText("Live, once a second").waitFor();
});

test("a lost database is named on the page, and what is shown recovers with it", async (t) => {
  const database = await postgres(t);
  if (!database) return t.skip("Postgres is not installed");
  const sale = await start(t, { settings: { ONSALE_DATABASE_URL: database.url } });
  const page = await desk(t, await visitor(t, { locale: "ko-KR" }), sale, { view: "#/keys" });
  await page.getByRole("button", { name: "키 만들기" }).click();
  await page.getByLabel(/^이름/).fill("야간 근무");
  database.cut();
  await banner(page).getByText("데이터베이스가 응답하지 않습니다.").waitFor();
  await banner(page).getByText("복구될 때까지 판매와 변경이 모두 중단됩니다.").waitFor();
  database.mend();
  await banner(page).getByText("데이터베이스가 응답하지 않습니다.").waitFor({ state: "hidden" });
  await page.getByRole("button", { name: "만들기", exact: true }).click();
  await page.getByRole("heading", { name: "야간 근무의 키" }).waitFor();
  assert.deepEqual(await names(sale), ["야간 근무"]);
  return undefined;
});
