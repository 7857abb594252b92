// The back office: the sign-in, what each role sees, keys, and a session that ends.

import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";

import { desk, signIn, tab, visitor } from "./support/browser.js";
import { start, until } from "./support/server.js";

const menu = (page) => page.getByRole("navigation", { name: "Menu" }).getByRole("link").allInnerTexts();

test("a member of the staff signs in, stays signed in over a reload and in another tab, and signs out", async (t) => {
  const sale = await start(t);
  const context = await visitor(t);
  const page = await tab(t, context, `${sale.base}/desk#/log`);
  await page.getByRole("heading", { name: "onsale back office" }).waitFor();
  await signIn(page, "not-a-key");
  await page.getByRole("alert").getByText("This key is not known").waitFor();
  await page.waitForFunction(() => document.activeElement.type === "password");
  await signIn(page, "");
  await page.getByRole("alert").getByText("Enter your key").waitFor();
  await signIn(page, "admin-key-of-the-browser-tests");
  await page.getByRole("heading", { name: "Admin log" }).waitFor();
  await page.reload();
  await page.getByRole("heading", { name: "Admin log" }).waitFor();
  const other = await tab(t, context, `${sale.base}/desk#/users`);
  await other.getByRole("heading", { name: "Users" }).waitFor();
  // Nothing that stands for the key is within reach of a script.
  const reachable = await page.evaluate(() => JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }, document.body.innerHTML]));
  assert.ok(!reachable.includes("admin-key-of"), reachable);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Staff key").waitFor();
  await other.reload();
  await other.getByLabel("Staff key").waitFor();
});

test("the first load of the back office is small", async (t) => {
  const sale = await start(t);
  const context = await visitor(t);
  const loaded = new Map();
  context.on("response", (response) => loaded.set(new URL(response.url()).pathname, response));
  const page = await desk(t, context, sale);
  await page.getByRole("heading", { level: 1 }).waitFor();
  const files = [...loaded].filter(([path]) => path === "/desk" || path.includes("/assets/"));
  assert.ok(files.length > 10, String(files.map(([path]) => path)));
  const sizes = await Promise.all(files.map(async ([, response]) => gzipSync(await response.body()).length));
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  assert.ok(bytes < 60_000, `${bytes} bytes`);
});

test("each role sees what it may do, and nothing else", async (t) => {
  const sale = await start(t, { settings: { ONSALE_CHARGE: "staff" } });
  const shown = {
    owner: ["Overview", "Concerts", "Lectures", "Users", "Charge", "Admin log", "Keys"],
    organiser: ["Overview", "Concerts", "Lectures", "Users", "Admin log"],
    support: ["Overview", "Concerts", "Lectures", "Users", "Admin log"],
    door: ["Attendees"],
    cashier: ["Charge"],
  };
  for (const [role, entries] of Object.entries(shown)) {
    const { key } = await sale.admin("POST", "/admin/keys", { name: `the ${role}`, role });
    const page = await desk(t, await visitor(t), sale, { key });
    await page.locator(".who-here").getByText(`the ${role}`).waitFor();
    assert.deepEqual(await menu(page), entries, role);
    await page.goto(`${sale.base}/desk#/keys`);
    await page.getByRole("heading", { name: role === "owner" ? "Keys" : "Your role does not include this" }).waitFor();
    if (role !== "cashier") continue;
    await page.goto(`${sale.base}/desk#/charge`);
    await page.getByLabel(/^User id/).fill("ada");
    await page.getByLabel(/^Points/).fill("50000");
    await page.getByRole("button", { name: "Charge", exact: true }).click();
    await page.getByText("ada: charged 50,000 points. Balance: 50,000 points").first().waitFor();
  }
});

test("the owner makes a key whose secret is shown once, and deletes it; the log has both", async (t) => {
  const sale = await start(t);
  const page = await desk(t, await visitor(t), sale, { view: "#/keys" });
  await page.getByRole("button", { name: "New key" }).click();
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByText("This is required.").waitFor();
  await page.getByLabel(/^Name/).fill("front desk");
  await page.getByLabel(/^Role/).selectOption("support");
  await page.getByRole("button", { name: "Create" }).click();
  const secret = page.getByRole("textbox", { name: "Key", exact: true });
  const key = await secret.inputValue();
  assert.match(key, /^onsale_[\w-]{43}$/);
  await page.getByRole("button", { name: "I have copied it" }).click();
  await secret.waitFor({ state: "detached" });
  assert.ok(!(await page.content()).includes(key));
  const help = await desk(t, await visitor(t), sale, { key, view: "#/users" });
  await help.locator(".who-here").getByText("front desk").waitFor();

  await page.getByRole("button", { name: "New key" }).click();
  await page.getByLabel(/^Name/).fill("front desk");
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByRole("alert").getByText("Another key has or had this name.").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Delete the key of front desk" }).click();
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByText("Key deleted: front desk").waitFor();
  await page.goto(`${sale.base}/desk#/log`);
  await page.getByLabel("Action").selectOption("key.deleted");
  await page.getByRole("row", { name: /Key deleted/ }).waitFor();
  await until("the filtered log", async () => (await page.getByRole("row").count()) === 2);
});

test("an ended session leads to the sign-in above the page, and what was typed is kept", async (t) => {
  const sale = await start(t);
  const made = [];
  for (const name of ["first", "second"]) made.push(await sale.admin("POST", "/admin/keys", { name, role: "owner" }));
  const page = await desk(t, await visitor(t), sale, { key: made[0].key, view: "#/keys" });
  await page.getByRole("button", { name: "New key" }).click();
  await page.getByLabel(/^Name/).fill("third");
  await sale.admin("DELETE", `/admin/keys/${made[0].keyId}`);
  await page.getByRole("button", { name: "Create" }).click();
  await page.getByRole("heading", { name: "Your session has ended" }).waitFor();
  await page.waitForFunction(() => document.activeElement.type === "password");
  await page.keyboard.press("Escape");
  await signIn(page, made[1].key);
  // The change that was refused is sent again by itself.
  await page.getByRole("heading", { name: "Key of third" }).waitFor();
  await page.getByRole("button", { name: "I have copied it" }).click();
  await page.locator(".who-here").getByText("second").waitFor();
  assert.equal((await sale.admin("GET", "/admin/log?action=key.created")).length, 3);
});
