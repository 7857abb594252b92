// A visitor signs in at a real provider, buys, and signs out.

import assert from "node:assert/strict";
import { test } from "node:test";

import { barriers, enterHall, tab, visitor } from "./support/browser.js";
import { CLIENT, openProvider } from "./support/provider.js";
import { proxy } from "./support/proxy.js";
import { start } from "./support/server.js";

/** A server whose visitors sign in, at the address that the provider knows. */
async function scene(t) {
  let sale;
  // The address of the server has to be known before it starts.
  const base = await proxy(t, () => sale.base);
  const provider = await openProvider(`${base}/session/callback`);
  t.after(() => provider.stop());
  sale = await start(t, {
    settings: {
      ONSALE_AUTH: "jwt", ONSALE_PUBLIC_URL: base, ONSALE_OIDC_ISSUER: provider.issuer,
      ONSALE_OIDC_CLIENT_ID: CLIENT.id, ONSALE_OIDC_CLIENT_SECRET: CLIENT.secret,
    },
  });
  const context = await visitor(t);
  // The pages of the provider ask for fonts of another site.
  await context.route(/fonts\.googleapis\.com/, (route) => route.abort());
  return { base, provider, sale, context };
}

/** Fills in the forms of the provider until it sends the browser back. */
async function approve(page, base, login) {
  await page.locator('input[name="login"]').fill(login);
  await page.locator('input[name="password"]').fill("any");
  await page.locator('button[type="submit"]').click();
  // The provider has a page of its own for the consent.
  await page.locator('input[name="prompt"][value="consent"]').waitFor({ state: "attached" });
  await page.locator('button[type="submit"]').click();
  await page.waitForURL((url) => url.href.startsWith(`${base}/#`) || url.href === `${base}/`);
}

const signIn = (page) => page.getByRole("button", { name: "Sign in" }).click();

test("a visitor signs in, buys a seat and signs out", async (t) => {
  const { base, sale, context } = await scene(t);
  const concert = await sale.concert();
  const page = await tab(t, context, `${base}/#/concerts/${concert.concertId}`);
  await page.getByRole("heading", { name: "Who is coming?" }).waitFor();
  assert.deepEqual(await barriers(page), []);
  await signIn(page);
  await approve(page, base, "ada");
  assert.equal(page.url(), `${base}/#/concerts/${concert.concertId}`, "back at the view that was left");
  await page.locator("#chip").getByText("ada", { exact: true }).waitFor();
  assert.ok(!(await page.evaluate(() => document.cookie)).includes("onsale"), "no script reads the session");

  await page.getByRole("link", { name: "onsale", exact: true }).click();
  await page.getByRole("button", { name: "Charge 100,000 points" }).click();
  await page.locator("#chip").getByText("100,000").waitFor();
  await page.getByRole("link", { name: /Night of the Locks/ }).click();
  await enterHall(page);
  await page.getByRole("button", { name: /^Seat 7,/ }).click();
  await page.getByRole("button", { name: "Hold seat 7" }).click();
  await page.getByRole("button", { name: /^Pay / }).click();
  await page.getByRole("article", { name: "Ticket" }).waitFor();

  // Another tab of the browser is signed in too.
  const other = await tab(t, context, `${base}/`);
  await other.locator("#chip").getByText("ada", { exact: true }).waitFor();
  await other.getByRole("button", { name: "Sign out" }).click();
  await other.getByRole("button", { name: "Sign in" }).waitFor();
  assert.deepEqual((await context.cookies()).filter(({ name }) => name.startsWith("onsale_")), []);
  // The first tab learns it from the next answer.
  await page.goto(`${base}/#/`);
  await page.reload();
  await page.getByRole("button", { name: "Sign in" }).waitFor();
});

test("a visitor who does not finish sees why and may try again", async (t) => {
  const { base, provider, context } = await scene(t);
  const page = await tab(t, context, `${base}/`);
  await signIn(page);
  await page.getByRole("link", { name: /Cancel/ }).click();
  await page.getByText("The provider did not sign you in.").waitFor();
  await page.goto(`${base}/session/callback?code=invented&state=invented`);
  await page.getByText("The sign-in did not finish. Please try again.").waitFor();
  await signIn(page);
  await approve(page, base, "ada@example.com");
  await page.locator("#chip strong").getByText(/^u_/).waitFor();
  await provider.stop();
  await page.reload();
  await page.locator("#chip strong").getByText(/^u_/).waitFor();
});
