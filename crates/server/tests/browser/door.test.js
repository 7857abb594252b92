// The door: tickets are checked in by camera and by hand, with and without a network, and a second ticket of a seat is flagged.

import assert from "node:assert/strict";
import { test } from "node:test";

import { barriers, shoot, signIn, tab, visitor } from "./support/browser.js";
import { ADMIN_KEY, inSeconds, start, until } from "./support/server.js";

/** A sale with one performance that starts in an hour, the tickets of these seats, and the key of a member at the door. */
async function prepared(t, seats = [1, 2, 3, 4], options = {}) {
  const sale = await start(t, options);
  const concert = await sale.concert({ title: "자물쇠의 밤", venue: "한강 돔", performances: [{ startsAt: inSeconds(3_600) }] });
  const [performance] = concert.performances;
  const { key } = await sale.admin("POST", "/admin/keys", { name: "gate", role: "door" });
  return { sale, concert, performance, key, tickets: await buy(sale, concert, performance, "ada", seats) };
}

async function buy(sale, concert, performance, user, seats) {
  await sale.charge(user, 1_000_000);
  const { reservationId } = await sale.hold(user, concert, performance, seats);
  const { token } = await sale.enter(user, concert);
  const { paymentId } = await sale.call("POST", "/payments", { token, body: { reservationId } });
  const tickets = await sale.call("GET", `/payments/${paymentId}/tickets`);
  return tickets.map((ticket) => ({ ...ticket, paymentId }));
}

/** Opens the door of a performance, and signs in. */
async function open(t, context, { sale, performance, key }, options) {
  const page = await tab(t, context, `${sale.base}/check-in#/${performance.performanceId}`, options);
  await signIn(page, key);
  await page.getByLabel("Code or ticket id").waitFor();
  await page.getByText(/^Lists of \d+ seconds? ago$/).waitFor();
  return page;
}

async function type(page, text) {
  await page.getByLabel("Code or ticket id").fill(text);
  await page.getByRole("button", { name: "Check in", exact: true }).click();
}

/** Waits until the last scan means this. */
const verdict = (page, kind) => page.locator(`.gate-verdict[data-verdict="${kind}"]`).waitFor();

const figure = (page, name) => page.locator("dl.figures div", { hasText: name }).locator("dd");

const scansOf = async (sale, { performanceId }, query = "") => sale.admin("GET", `/admin/performances/${performanceId}/check-ins${query}`);

/** Waits until the service worker keeps the page. */
const ready = (page) => page.evaluate(async () => {
  const { active } = await navigator.serviceWorker.ready;
  while (active.state !== "activated") await new Promise((resolve) => setTimeout(resolve, 20));
});

test("tickets are checked in by hand, refused the second time, and undone", async (t) => {
  const made = await prepared(t);
  const { sale, performance, tickets } = made;
  const page = await open(t, await visitor(t), made);
  await page.getByRole("heading", { name: "자물쇠의 밤" }).waitFor();
  await type(page, tickets[0].code);
  await verdict(page, "ok");
  await page.locator(".gate-seat", { hasText: "Seat 1" }).waitFor();
  await type(page, tickets[0].code);
  await verdict(page, "twice");
  await type(page, tickets[1].ticketId.toUpperCase());
  await verdict(page, "ok");
  await type(page, `${tickets[2].code.slice(0, -2)}AA`);
  await verdict(page, "invalid");
  await type(page, "hello");
  await verdict(page, "invalid");
  await page.waitForFunction(() => /Not sent yet\s*0/.test(document.querySelector("dl.figures").innerText));
  assert.equal(await figure(page, "Admitted here").innerText(), "2");
  assert.equal((await scansOf(sale, performance)).length, 4, "what is no code is not sent");
  await page.getByRole("button", { name: "Undo seat 1" }).click();
  await page.getByText(/^Undone: seat 1/).first().waitFor();
  await type(page, tickets[0].code);
  await verdict(page, "ok");
  // Refunded at another place: the lists of this door learn it.
  await sale.admin("POST", `/admin/payments/${tickets[0].paymentId}/refunds`, { seats: [3], reason: "moved" });
  await type(page, tickets[2].code);
  await verdict(page, "void");
  assert.equal((await scansOf(sale, performance))[0].by, "gate");
});

test("the camera reads the picture of a ticket, with the decoder of this program and with that of the browser", async (t) => {
  const made = await prepared(t);
  const { sale, tickets } = made;
  for (const [index, hasDetector] of [false, true].entries()) {
    const { paymentId, ticketId, code } = tickets[index];
    const svg = await (await fetch(`${sale.base}/payments/${paymentId}/tickets/${ticketId}/code.svg`)).text();
    const context = await visitor(t, { without: ["BarcodeDetector"] });
    await context.addInitScript(shows, { svg, text: hasDetector ? code : null });
    const page = await open(t, context, made);
    await page.getByRole("button", { name: "Start the camera" }).click();
    await verdict(page, "ok");
    await page.locator(".gate-seat", { hasText: `Seat ${index + 1}` }).waitFor();
    // A code that stays in the picture counts once.
    await page.waitForFunction(() => globalThis.pictures > 5);
    assert.equal(await figure(page, "Refused here").innerText(), "0");
    await shoot(page, `door-camera-${index}`);
    await page.getByRole("button", { name: "Stop the camera" }).click();
    assert.equal(await page.evaluate(() => document.querySelector("video").srcObject), null);
  }
});

/** Runs in the page: a camera that shows a picture, slightly turned; and a detector that reads `text`, if any. */
function shows({ svg, text }) {
  globalThis.pictures = 0;
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: 640, height: 480 });
  const context = canvas.getContext("2d");
  const image = new Image();
  image.src = `data:image/svg+xml,${encodeURIComponent(svg)}`;
  const draw = () => {
    globalThis.pictures++;
    context.resetTransform();
    context.fillStyle = "#bbb";
    context.fillRect(0, 0, 640, 480);
    context.translate(320, 240);
    context.rotate(0.12);
    if (image.complete) context.drawImage(image, -180, -180, 360, 360);
    setTimeout(draw, 100);
  };
  draw();
  Object.defineProperty(navigator, "mediaDevices", { value: { getUserMedia: async () => canvas.captureStream(10) } });
  if (!text) return;
  globalThis.BarcodeDetector = class {
    static getSupportedFormats = async () => ["qr_code"];
    detect = async () => [{ rawValue: text }];
  };
}

test("a camera that is refused leaves the manual entry, and an address without HTTPS is named", async (t) => {
  const made = await prepared(t);
  const context = await visitor(t);
  await context.addInitScript(() => {
    Object.defineProperty(navigator, "mediaDevices", { value: { getUserMedia: async () => { throw new DOMException("no", "NotAllowedError"); } } });
  });
  const page = await open(t, context, made);
  await page.getByRole("button", { name: "Start the camera" }).click();
  await page.getByRole("alert").getByText(/NotAllowedError/).waitFor();
  const plain = await tab(t, await visitor(t, { without: ["isSecureContext"] }), `${made.sale.base}/check-in#/${made.performance.performanceId}`);
  await plain.getByText(/only with HTTPS or on this computer itself/).waitFor();
  await signIn(plain, made.key);
  await plain.getByLabel("Code or ticket id").waitFor();
  await plain.getByText(/only with HTTPS or on this computer itself/).waitFor();
  assert.equal(await plain.getByRole("button", { name: "Start the camera" }).count(), 0);
  await type(plain, made.tickets[0].code);
  await verdict(plain, "ok");
});

test("the door works without a network, and two doors settle their scans later", async (t) => {
  const made = await prepared(t, [1, 2, 3, 4]);
  const { sale, concert, performance, tickets } = made;
  const [other] = await buy(sale, concert, performance, "bob", [9]);
  const pages = [];
  for (const number of [0, 1]) {
    const page = await open(t, await visitor(t), made, { expected: /ERR_CONNECTION_REFUSED|Failed to fetch/ });
    await page.getByText("Name of this device").first().click();
    await page.getByLabel("Name of this device").fill(`gate-${number}`);
    await page.getByLabel("Name of this device").press("Tab");
    await ready(page);
    pages.push(page);
  }
  // A check-in of before the outage is in the lists of both.
  await type(pages[0], other.code);
  await verdict(pages[0], "ok");
  await pages[1].waitForFunction(() => /Checked in, all doors\s*1/.test(document.querySelector("dl.figures").innerText));
  await sale.stop();
  for (const page of pages) {
    await page.reload();
    await page.getByText("Without a network").waitFor();
    await page.getByRole("heading", { name: "자물쇠의 밤" }).waitFor();
    await type(page, other.code);
    await verdict(page, "twice");
    await type(page, tickets[0].code);
    await verdict(page, "ok");
    await page.getByText("By the lists of this device").waitFor();
  }
  await type(pages[1], tickets[1].code);
  await verdict(pages[1], "ok");
  await type(pages[1], tickets[1].code);
  await verdict(pages[1], "twice");
  assert.equal(await figure(pages[1], "Not sent yet").innerText(), "4");
  await pages[1].reload();
  await pages[1].getByLabel("Code or ticket id").waitFor();
  assert.equal(await figure(pages[1], "Not sent yet").innerText(), "4", "a closed page loses no scan");
  const again = await start(t, { folder: sale.folder, listen: new URL(sale.base).host });
  for (const page of pages) {
    await page.waitForFunction(() => /Not sent yet\s*0/.test(document.querySelector("dl.figures").innerText));
  }
  const conflicts = await scansOf(again, performance, "?conflict=true");
  const twice = conflicts.find(({ ticketId }) => ticketId === tickets[0].ticketId);
  assert.deepEqual([twice.kind, twice.scans.length, twice.scans[0].device, twice.scans[0].status], ["twice", 2, "gate-0", "COUNTS"]);
  // The door whose scan does not count sees that its visitor was let in by a ticket that had been used.
  await pages[1].getByRole("heading", { name: "Refused after admission" }).waitFor();
  assert.equal(await pages[0].getByRole("heading", { name: "Refused after admission" }).count(), 0);
});

test("a second ticket of one seat is flagged on the spot", async (t) => {
  const made = await prepared(t, [1]);
  const { sale, concert, performance, tickets: [old] } = made;
  const page = await open(t, await visitor(t), made);
  await type(page, old.code);
  await verdict(page, "ok");
  await sale.admin("POST", `/admin/payments/${old.paymentId}/refunds`, { reason: "the view is restricted" });
  const [next] = await buy(sale, concert, performance, "bob", [1]);
  await type(page, next.code);
  await verdict(page, "same-seat");
  await page.getByRole("heading", { name: "Second ticket for this seat" }).waitFor();
  const conflicts = await scansOf(sale, performance, "?conflict=true");
  assert.deepEqual(conflicts.map(({ kind, seat }) => [kind, seat]), [["same-seat", 1]]);
});

test("a session that ended keeps the scans until the next sign-in, and no key is stored", async (t) => {
  const made = await prepared(t);
  const { sale, performance, key, tickets } = made;
  const context = await visitor(t);
  const page = await open(t, context, made);
  await context.clearCookies();
  await type(page, tickets[0].code);
  await verdict(page, "ok");
  await page.getByText("Your session has ended").waitFor();
  assert.equal((await scansOf(sale, performance)).length, 0);
  await signIn(page, key);
  await until("the scan arrives", async () => (await scansOf(sale, performance)).length === 1);
  const stored = await page.evaluate(async () => {
    const request = indexedDB.open("onsale-door");
    const database = await new Promise((resolve) => (request.onsuccess = () => resolve(request.result)));
    const all = { ...localStorage, ...sessionStorage, cookie: document.cookie };
    for (const store of database.objectStoreNames) {
      const read = database.transaction(store).objectStore(store).getAll();
      all[store] = await new Promise((resolve) => (read.onsuccess = () => resolve(read.result)));
    }
    return JSON.stringify(all);
  });
  assert.ok(stored.includes(tickets[0].ticketId), "it looks in the right place");
  assert.ok(!stored.includes(key) && !stored.includes(ADMIN_KEY));
});

test("the door has no serious barrier in both languages, and a role without the right is refused", async (t) => {
  const made = await prepared(t);
  const { sale, performance, tickets } = made;
  for (const [name, options] of [["phone", { viewport: { width: 360, height: 780 } }], ["dark", { colorScheme: "dark" }]]) {
    const page = await open(t, await visitor(t, options), made);
    await type(page, tickets[0].code);
    await page.locator(".gate-verdict[data-verdict]").waitFor();
    assert.deepEqual(await barriers(page), [], name);
    await shoot(page, `door-${name}`);
    await page.getByRole("button", { name: "한국어" }).click();
    await page.getByLabel("코드 또는 티켓 ID").waitFor();
    const shown = await page.locator("main button, main label, main h2, main dt").allInnerTexts();
    assert.ok(shown.length > 8 && !/[A-Za-z]{4}/.test(shown.join(" ")), shown.join(" "));
    const { scroll, client } = await page.evaluate(() => ({ scroll: document.documentElement.scrollWidth, client: document.documentElement.clientWidth }));
    assert.ok(scroll <= client, `${scroll} px wide on ${client}`);
  }
  const { key } = await sale.admin("POST", "/admin/keys", { name: "desk", role: "support" });
  const page = await tab(t, await visitor(t), `${sale.base}/check-in#/${performance.performanceId}`);
  await signIn(page, key);
  await page.getByText(/Your role cannot check tickets in/).waitFor();
});
