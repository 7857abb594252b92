// The presentation (docs/talk/talk.html), as a speaker and a reader use it: keys, touch, both languages, paper.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";

import { barriers, PROGRAM, shoot, tab, visitor } from "./support/browser.js";

const ROOT = fileURLToPath(new URL("../../../../", import.meta.url));
const DECK = pathToFileURL(join(ROOT, "docs/talk/talk.html")).href;
const SLIDES = 16;
const WIDE = { width: 1440, height: 900 };
const PHONE = { width: 390, height: 844 };

const open = async (t, { query = "", ...options } = {}) => tab(t, await visitor(t, options), DECK + query);
const count = (page) => page.locator("#count").innerText();
const shown = (page) => page.locator(".slide.now").getAttribute("id");

/** Runs in the page: what of the slide that is shown does not fit. A chart on a phone moves sideways by itself. */
function overflow() {
  const slide = document.querySelector(".slide.now");
  const [frame, bar] = [slide, document.querySelector(".bar")].map((part) => part.getBoundingClientRect());
  const found = [];
  if (slide.scrollHeight > slide.clientHeight) found.push(`${slide.scrollHeight} px high in ${slide.clientHeight}`);
  for (const part of slide.querySelectorAll("*")) {
    const box = part.getBoundingClientRect();
    if (!box.width || part.closest("figure.chart svg") || part.closest("svg")?.contains(part.parentNode)) continue;
    const words = part.children.length ? part.tagName : part.textContent.trim().slice(0, 40);
    if (box.left < frame.left - 1 || box.right > frame.right + 1) found.push(`beyond the side: ${words}`);
    const isCovered = box.bottom > bar.top && box.top < bar.bottom && box.right > bar.left && box.left < bar.right;
    if (!part.children.length && isCovered) found.push(`below the bar: ${words}`);
    if (part.scrollWidth > part.clientWidth + 1 && part.clientWidth && !part.matches("figure.chart")) found.push(`cut: ${words}`);
  }
  return found;
}

for (const language of ["en", "ko"]) {
  for (const viewport of [WIDE, PHONE]) {
    test(`all slides fit ${viewport.width} × ${viewport.height} pixels in ${language}, by keyboard`, async (t) => {
      const page = await open(t, { query: `?lang=${language}`, viewport, reducedMotion: "reduce" });
      const ids = [];
      for (let number = 1; number <= SLIDES; number++) {
        assert.equal(await count(page), `${number} / ${SLIDES}`);
        assert.deepEqual(await page.evaluate(overflow), [], `slide ${number}`);
        const text = await page.locator(".slide.now :is(h1, h2)").innerText();
        assert.equal(/[가-힣]/.test(text), language === "ko", `slide ${number} has the heading ${text}`);
        ids.push(await shown(page));
        await shoot(page, `talk-${language}-${viewport.width}-${String(number).padStart(2, "0")}`);
        await page.keyboard.press(["ArrowRight", "PageDown", "Space"][number % 3]);
      }
      assert.equal(new Set(ids).size, SLIDES);
      assert.equal(await count(page), `${SLIDES} / ${SLIDES}`, "the last slide is the end");
      await page.keyboard.press("ArrowLeft");
      assert.equal(await shown(page), ids.at(-2));
      await page.keyboard.press("Home");
      await page.keyboard.press("PageUp");
      assert.equal(await shown(page), ids[0]);
      await page.keyboard.press("End");
      assert.equal(new URL(page.url()).hash, `#${ids.at(-1)}`);
    });
  }

  const colorScheme = language === "en" ? "light" : "dark";
  test(`no barrier on any slide, ${colorScheme}, in ${language}`, async (t) => {
    const page = await open(t, { query: `?lang=${language}`, colorScheme, reducedMotion: "reduce" });
    // The overview shows all slides at once.
    await page.keyboard.press("o");
    assert.equal(await page.locator(".slide:visible").count(), SLIDES);
    assert.deepEqual(await barriers(page), []);
    await shoot(page, `talk-${language}-overview-${colorScheme}`);
    await page.locator(".slide").nth(4).click();
    assert.equal(await count(page), `5 / ${SLIDES}`);
    assert.equal(await page.locator(".slide:visible").count(), 1);
  });
}

test("nothing is fetched, and an address leads to its slide", async (t) => {
  const context = await visitor(t);
  const fetched = [];
  context.on("request", (request) => fetched.push(request.url()));
  const page = await tab(t, context, `${DECK}?lang=ko#distance`);
  assert.equal(await shown(page), "distance");
  assert.equal(await page.evaluate(() => document.documentElement.lang), "ko");
  await page.keyboard.press("l");
  assert.equal(await page.locator(".slide.now h2").innerText(), "The law of distance");
  const others = fetched.filter((address) => !address.startsWith(DECK) && !address.startsWith("data:"));
  assert.deepEqual(others, []);
});

test("the speaker has notes, the time, and a second window", async (t) => {
  const page = await open(t);
  await page.keyboard.press("n");
  const panel = page.getByRole("region", { name: "Notes" });
  await panel.getByText("Fifty seats, and a crowd at the door.").waitFor();
  await panel.getByText("This slide ends at 1:00").waitFor();
  await panel.getByText(/^Elapsed 0:\d\d of 20:00$/).waitFor();
  await page.keyboard.press("ArrowRight");
  await panel.getByText("This slide ends at 2:30").waitFor();
  const opened = page.waitForEvent("popup");
  await page.keyboard.press("s");
  const second = await opened;
  await second.getByRole("region", { name: "Notes" }).getByText("These are public cases.").waitFor();
  await page.keyboard.press("ArrowRight");
  await second.locator("#shapes.now").waitFor();
  await second.keyboard.press("ArrowRight");
  await page.locator("#write.now").waitFor();
});

/** Runs in the page: the events of a finger that moves from one point to another. */
function swipe([from, to]) {
  const target = document.querySelector(".slide.now");
  const touch = ([clientX, clientY]) => new Touch({ identifier: 1, target, clientX, clientY });
  const send = (type, touches, point) =>
    target.dispatchEvent(new TouchEvent(type, { bubbles: true, touches, changedTouches: [touch(point)] }));
  send("touchstart", [touch(from)], from);
  send("touchend", [], to);
}

test("a swipe changes the slide, and an upright one does not", async (t) => {
  const page = await open(t, { viewport: PHONE, hasTouch: true, isMobile: true });
  for (const [from, to, slide] of [
    [[300, 500], [80, 510], "promises"],
    [[200, 600], [140, 300], "promises"],
    [[80, 500], [300, 500], "onsale"],
    [[80, 500], [300, 500], "onsale"],
  ]) {
    await page.evaluate(swipe, [from, to]);
    assert.equal(await shown(page), slide);
  }
  await page.getByRole("button", { name: "Next slide" }).tap();
  await page.locator("#promises.now").waitFor();
});

test("nothing moves for a reader who wants less motion", async (t) => {
  const animation = (page) => page.locator(".slide.now").evaluate((slide) => getComputedStyle(slide).animationName);
  assert.equal(await animation(await open(t, { reducedMotion: "reduce" })), "none");
  assert.equal(await animation(await open(t, { reducedMotion: "no-preference" })), "arrive");
});

test("without JavaScript all slides are below each other", async (t) => {
  const page = await open(t, { javaScriptEnabled: false });
  assert.equal(await page.locator(".slide:visible").count(), SLIDES);
});

test("a command prints a page for each slide", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "onsale-talk-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await promisify(execFile)(join(ROOT, "talk"), ["pdf", "ko", folder], { env: { ...process.env, CHROMIUM: PROGRAM } });
  const pages = async (name) => [...(await readFile(join(folder, name), "latin1")).matchAll(/\/Type\s*\/Page\b/g)].length;
  assert.equal(await pages("onsale-ko.pdf"), SLIDES);
  assert.ok((await pages("onsale-ko-notes.pdf")) >= SLIDES);
});
