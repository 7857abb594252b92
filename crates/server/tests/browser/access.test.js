// The pages are used by keyboard, by screen reader and on a phone.

import assert from "node:assert/strict";
import { test } from "node:test";

import { barriers, demo, shoot, tab, visitor } from "./support/browser.js";
import { start } from "./support/server.js";

/** Each way of showing the pages. */
const LOOKS = [
  { name: "wide", options: {} },
  { name: "dark", options: { colorScheme: "dark" } },
  { name: "phone", options: { viewport: { width: 390, height: 844 } } },
  { name: "forced", options: { forcedColors: "active" } },
];

for (const { name, options } of LOOKS) {
  test(`no page has a serious barrier (${name})`, async (t) => {
    const sale = await start(t, { args: ["--demo"] });
    const concert = await sale.concert({ title: "자물쇠의 밤", venue: "한강 돔", queue: { maxActive: 1 } });
    const first = await sale.enter("bob", concert);
    await sale.charge("ada", 20_000);
    const page = await demo(t, await visitor(t, options), sale);
    const check = async (at) => {
      await page.waitForFunction(() => !document.getAnimations().length);
      await shoot(page, `${at}-${name}`);
      assert.deepEqual(await barriers(page), [], at);
      const { scroll, client } = await page.evaluate(() => ({ scroll: document.documentElement.scrollWidth, client: document.documentElement.clientWidth }));
      assert.ok(scroll <= client, `${at} is ${scroll} px wide on ${client}`);
    };
    await page.getByRole("button", { name: /^Apply/ }).first().waitFor();
    await check("home");
    await page.locator("#who").fill("ada");
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByRole("link", { name: /자물쇠의 밤/ }).click();
    await page.getByRole("button", { name: "Enter the waiting room" }).waitFor();
    await check("door");
    await page.getByRole("button", { name: "Enter the waiting room" }).click();
    await page.getByRole("heading", { name: "Your place in line" }).waitFor();
    await check("line");
    await sale.call("DELETE", "/queue/token", { token: first.token });
    await page.getByRole("button", { name: /^Seat 7,/ }).click();
    await check("hall");
    await page.getByRole("button", { name: "Hold seat 7" }).click();
    await page.getByRole("button", { name: "Charge 50,000 points" }).waitFor();
    await check("desk");
    await page.getByRole("button", { name: "Charge 50,000 points" }).click();
    await page.getByRole("button", { name: /^Pay / }).click();
    await page.getByRole("article", { name: "Ticket" }).waitFor();
    await check("ticket");
    await page.locator("#chip").click();
    await page.getByRole("heading", { name: "Your account" }).waitFor();
    await check("account");
  });
}

test("the API description has no serious barrier", async (t) => {
  const sale = await start(t);
  for (const { options } of LOOKS.slice(1, 3)) {
    const page = await tab(t, await visitor(t, options), `${sale.base}/docs`);
    await page.getByRole("heading", { name: "Problems", exact: true }).waitFor();
    assert.deepEqual(await barriers(page), []);
  }
});

test("the focus is never lost, from the first page to the ticket", async (t) => {
  const sale = await start(t);
  const concert = await sale.concert({ queue: { maxActive: 1 } });
  const first = await sale.enter("bob", concert);
  await sale.charge("ada", 20_000);
  const page = await demo(t, await visitor(t), sale, { user: "ada" });
  const focused = () => page.evaluate(() => {
    const { tagName, id, textContent } = document.activeElement;
    return { tagName, id, text: textContent.slice(0, 40) };
  });
  const isKept = async (after) => {
    const { tagName, ...rest } = await focused();
    assert.notEqual(tagName, "BODY", `after ${after}: ${JSON.stringify(rest)}`);
  };
  const press = async (name, after) => {
    const button = page.getByRole("button", { name });
    await button.focus();
    await page.keyboard.press("Enter");
    await after.waitFor();
    await isKept(String(name));
  };
  await isKept("the first page");
  await page.getByRole("link", { name: /Night of the Locks/ }).focus();
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Enter the waiting room" }).waitFor();
  await isKept("the link of a concert");
  await press("Enter the waiting room", page.getByRole("heading", { name: "Your place in line" }));
  await press("Leave the line", page.getByRole("heading", { name: "Once more?" }));
  await press("Enter the waiting room", page.getByRole("heading", { name: "Your place in line" }));
  await page.getByRole("button", { name: "Leave the line" }).focus();
  await sale.call("DELETE", "/queue/token", { token: first.token });
  await page.getByRole("heading", { name: "Choose your seats" }).waitFor();
  await isKept("the call");
  const seat = page.getByRole("button", { name: /^Seat 7,/ });
  await seat.focus();
  await page.keyboard.press("Enter");
  await press("Hold seat 7", page.getByRole("heading", { name: "Held for you" }));
  await press("Give the seats back", page.getByRole("heading", { name: "Your choice" }));
  await page.getByRole("button", { name: /^Seat 7,.*available/ }).waitFor();
  await seat.focus();
  await page.keyboard.press("Enter");
  await press("Hold seat 7", page.getByRole("heading", { name: "Held for you" }));
  // Enough points: the buttons that charge go away while one of them has the focus.
  const charge = page.getByRole("button", { name: "Charge 50,000 points" });
  await charge.focus();
  await page.keyboard.press("Enter");
  await charge.waitFor({ state: "hidden" });
  await isKept("a charge");
  await press(/^Pay /, page.getByRole("article", { name: "Ticket" }));
  await press("Book more seats", page.getByRole("heading", { name: "The doors are open" }));
});

test("the focus stays while lists are made anew", async (t) => {
  const sale = await start(t);
  const concert = await sale.concert({ performances: [{}, {}] });
  const lecture = await sale.admin("POST", "/admin/lectures", { title: "One place", startsAt: "2090-01-01T00:00:00Z", capacity: 1 });
  const context = await visitor(t);
  // Known from the start: a change of the user makes the view anew, and moves the focus, some time after the form is gone.
  await context.addInitScript(() => sessionStorage.setItem("onsale:user", JSON.stringify("ada")));
  const page = await demo(t, context, sale);
  const apply = page.getByRole("button", { name: /: One place$/ });
  await apply.focus();
  await sale.call("POST", "/lectures/apply", { body: { userId: "bob", lectureId: lecture.lectureId } });
  await page.getByRole("button", { name: "Join the waiting list: One place" }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("aria-label")), "Join the waiting list: One place");

  await page.goto(`${sale.base}/#/concerts/${concert.concertId}`);
  await page.getByRole("button", { name: "Enter the waiting room" }).click();
  const second = page.locator(".date").nth(1);
  await second.focus();
  await sale.hold("bob", concert, concert.performances[1], [1, 2]);
  await second.getByText("48 seats free").waitFor();
  assert.equal(await page.evaluate(() => document.activeElement === document.querySelectorAll(".date")[1]), true);
});
