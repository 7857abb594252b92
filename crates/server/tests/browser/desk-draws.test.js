// The back office: early entry with a draw, its beacon, and presale codes.

import assert from "node:assert/strict";
import { test } from "node:test";

import { desk, visitor } from "./support/browser.js";
import { inSeconds, start } from "./support/server.js";

const button = (page, name) => page.getByRole("button", { name, exact: true });

/** A value of a field for a time on the clock of the venue. */
const utc = (seconds) => inSeconds(seconds).slice(0, 16);

test("an organiser makes a concert whose early places are drawn, and names a beacon", async (t) => {
  const sale = await start(t, { settings: { ONSALE_TIMEZONE: "UTC" } });
  const page = await desk(t, await visitor(t, { timezoneId: "UTC" }), sale, { view: "#/concerts" });
  await button(page, "New concert").click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel(/^Title/).fill("Gala");
  await dialog.getByLabel(/^Venue/).fill("Hall");
  await dialog.getByLabel(/^Opens/).fill(utc(7_200));
  await dialog.getByLabel(/^Early entry from/).fill(utc(3_600));
  await dialog.getByLabel(/^Order/).selectOption("draw");
  await button(dialog, "Create").click();
  await page.getByRole("heading", { name: "Gala" }).waitFor();
  const early = page.getByRole("region", { name: "Early entry" });
  await early.getByText("the list is open").waitFor();
  const [{ concertId }] = await sale.admin("GET", "/admin/concerts");
  const made = await sale.admin("GET", `/concerts/${concertId}/draw`);
  await early.getByText(made.commitment).waitFor();

  await button(early, "Change early entry").click();
  // The server judges instants that contradict each other, and the field has the reason.
  await dialog.getByLabel(/^The list closes/).fill(utc(1_800));
  await button(dialog, "Save").click();
  await dialog.locator('[aria-invalid="true"]').waitFor();
  await dialog.getByLabel(/^The list closes/).fill(utc(5_400));
  await dialog.getByLabel(/^Beacon/).fill("drand quicknet round 34400000");
  await dialog.getByLabel(/^Known from/).fill(utc(6_000));
  await button(dialog, "Save").click();
  await early.getByText("drand quicknet round 34400000").waitFor();
  const named = await sale.admin("GET", `/concerts/${concertId}/draw`);
  assert.deepEqual(named.changes.map(({ field }) => field), ["drawAt", "beaconName", "beaconAt"]);
});

test("an organiser publishes a beacon, and the list is drawn", async (t) => {
  const sale = await start(t);
  const queue = { earlyFrom: inSeconds(-60), order: "draw", drawAt: inSeconds(4) };
  const { concertId } = await sale.admin("POST", "/admin/concerts", { title: "Gala", venue: "Hall", opensAt: inSeconds(3_600), queue });
  await sale.admin("PATCH", `/admin/concerts/${concertId}/queue`, { beaconName: "the dice", beaconAt: inSeconds(60) });
  const page = await desk(t, await visitor(t), sale, { view: `#/concerts/${concertId}` });
  const early = page.getByRole("region", { name: "Early entry" });
  await early.getByText("waits for the beacon").waitFor();
  await button(early, "Publish the beacon").click();
  const dialog = page.getByRole("dialog");
  await dialog.getByText("The value of the dice").waitFor();
  await dialog.getByLabel(/^Value of the beacon/).fill("6 6");
  await button(dialog, "Publish").click();
  await dialog.locator('[aria-invalid="true"]').waitFor();
  await dialog.getByLabel(/^Value of the beacon/).fill("66");
  await button(dialog, "Publish").click();
  await early.getByText("drawn", { exact: true }).waitFor();
  await early.getByText("66", { exact: true }).waitFor();
});

test("an organiser makes a presale code and deletes it", async (t) => {
  const sale = await start(t);
  const { concertId } = await sale.admin("POST", "/admin/concerts", { title: "Gala", venue: "Hall" });
  const page = await desk(t, await visitor(t), sale, { view: `#/concerts/${concertId}` });
  const codes = page.getByRole("region", { name: "Presale codes" });
  await codes.getByText("There are no codes.").waitFor();
  await button(codes, "New code").click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel(/^Code/).fill("not a code");
  await button(dialog, "Create").click();
  await dialog.locator('[aria-invalid="true"]').waitFor();
  await dialog.getByLabel(/^Code/).fill("FAN");
  await dialog.getByLabel(/^Uses of one person/).fill("2");
  await button(dialog, "Create").click();
  await codes.getByText("0 / 100").waitFor();
  const [made] = await sale.admin("GET", `/admin/concerts/${concertId}/codes`);
  assert.deepEqual([made.code, made.uses, made.usesPerUser], ["FAN", 100, 2]);
  await button(codes, "Delete FAN").click();
  await button(dialog, "Delete a code").click();
  await codes.getByText("There are no codes.").waitFor();
});
