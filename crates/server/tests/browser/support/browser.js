// Chromium, and pages that fail their test if a script of theirs fails.

import { readFile } from "node:fs/promises";
import { after } from "node:test";

import axe from "axe-core";
import { chromium } from "playwright-core";

import { ADMIN_KEY, PATIENCE } from "./server.js";

export const PROGRAM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const ARGUMENTS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

/** One browser for the tests of a file; each visitor has a context of its own. */
let browser = null;
const launched = () => (browser ??= chromium.launch({ executablePath: PROGRAM, args: ARGUMENTS, headless: true }));
after(async () => (await browser)?.close());

/**
 * A visitor: a fresh context in which all tabs share their storage. `options` are those of Playwright's `newContext`
 * (`viewport`, `timezoneId`, `colorScheme`, `forcedColors`); `without` names what this browser does not have, such as
 * `AbortSignal.timeout`. The context is closed at the end of test `t`.
 */
export async function visitor(t, { without = [], ...options } = {}) {
  const context = await (await launched()).newContext({ viewport: { width: 1440, height: 900 }, locale: "en-GB", ...options });
  context.setDefaultTimeout(PATIENCE);
  if (FROM_SOURCE) await context.route("**/assets/**", fromSource);
  if (without.length) await context.addInitScript(remove, without);
  t.after(() => context.close());
  return context;
}

/** While one works on the pages: their files as they are in the repository, without building the program again. */
const FROM_SOURCE = process.env.ONSALE_TEST_PAGES === "source";
const SOURCE = new URL("../../../src/pages/", import.meta.url);

async function fromSource(route) {
  const name = new URL(route.request().url()).pathname.split("/").pop();
  const contentType = name.endsWith(".css") ? "text/css" : "text/javascript";
  await route.fulfill({ body: await sourceOf(name), contentType });
}

/** The server joins the files of the shop. From the sources they come one by one. */
async function sourceOf(name) {
  if (name === "shop.js") return 'import "./demo.js";';
  if (name !== "shop.css") return readFile(new URL(name, SOURCE));
  const [, list] = /SHOP_STYLES[^;]*\[([^\]]*)\];/.exec(await readFile(new URL("assets.rs", SOURCE), "utf8"));
  return list.match(/[a-z-]+\.css/g).map((file) => `@import url("${file}");`).join("\n");
}

/** Runs in the page: takes away what the browser is not to have. */
function remove(names) {
  for (const name of names) {
    const path = name.split(".");
    const last = path.pop();
    const owner = path.reduce((object, part) => object?.[part], globalThis);
    if (!owner) continue;
    // Globals such as `navigator.locks` are getters of a prototype.
    for (let holder = owner; holder; holder = Object.getPrototypeOf(holder)) delete holder[last];
  }
}

/**
 * A tab of `context` at `address`. The test fails at its end if a script of the page failed or the content policy
 * stopped something; `expected` is a pattern of errors that are part of the test.
 */
export async function tab(t, context, address, { expected } = {}) {
  const page = await context.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(`${error.stack ?? error}`));
  page.on("console", (message) => {
    // A status of 4xx or 5xx and a lost connection are logged by the browser itself: what the page makes of them is tested.
    if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) errors.push(message.text());
  });
  t.after(() => {
    const real = errors.filter((text) => !expected?.test(text));
    if (real.length) throw new Error(`the page failed: ${real.join("\n")}`);
  });
  await page.goto(address);
  return page;
}

/** Opens the demonstration as this user, at the first page or at a concert's. */
export async function demo(t, context, sale, { user, concert, ...rest } = {}) {
  const page = await tab(t, context, `${sale.base}/${concert ? `#/concerts/${concert.concertId}` : ""}`, rest);
  if (user) await become(page, user);
  return page;
}

/** Opens the back office at a view (`#/…`) and signs in with a key. */
export async function desk(t, context, sale, { key = ADMIN_KEY, view = "", ...rest } = {}) {
  const page = await tab(t, context, `${sale.base}/desk${view}`, rest);
  await signIn(page, key);
  await page.getByRole("navigation").waitFor();
  return page;
}

/** Types a key into the form that is shown. */
export async function signIn(page, key) {
  const field = page.locator('input[type="password"]').last();
  await field.fill(key);
  await field.press("Enter");
}

/** Waits until a control with this text has the focus: a dialog that closes gives it back in a task of its own. */
export const focused = (page, words) => page.waitForFunction((words) => document.activeElement.textContent === words, words);

/** Names the visitor, by the form. */
export async function become(page, user) {
  await page.locator("#who").fill(user);
  await page.getByRole("button", { name: "Continue" }).click();
  await page.locator("#chip").getByText(user, { exact: true }).waitFor();
}

/** Enters the waiting room of the concert that is shown, and waits for the hall. */
export async function enterHall(page) {
  await page.getByRole("button", { name: "Enter the waiting room" }).click();
  await page.getByRole("heading", { name: /^(Choose your seats|Your seats)$/ }).waitFor();
}

/** Keeps a picture of the page in the folder that ONSALE_TEST_SHOTS names, if any. */
export async function shoot(page, name) {
  const folder = process.env.ONSALE_TEST_SHOTS;
  if (folder) await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
}

/** Violations of the accessibility rules of WCAG 2 AA that axe-core calls serious or critical, one line each. */
export async function barriers(page) {
  // Through the debugger: the content policy of the page refuses other scripts.
  await page.evaluate(axe.source);
  const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
  const { violations } = await page.evaluate((tags) => globalThis.axe.run(document, { runOnly: { type: "tag", values: tags } }), tags);
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, help, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${help}: ${html} (${failureSummary})`));
}
