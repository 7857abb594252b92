// The real program, started on a free port in a temporary folder of its own, and stopped by its process.

import { spawn } from "node:child_process";
import { access, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** Milliseconds after which a wait fails the test. Never waited for in full if all goes well. */
export const PATIENCE = 60_000;

const ROOT = fileURLToPath(new URL("../../../../..", import.meta.url));
const PROGRAM = process.env.ONSALE_PROGRAM ?? join(process.env.CARGO_TARGET_DIR ?? join(ROOT, "target"), "debug/onsale");
export const ADMIN_KEY = "admin-key-of-the-browser-tests";

/** What still runs if the process of the tests ends early. */
const running = new Set();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));

/**
 * Starts `onsale serve` and stops it at the end of test `t`. `settings` are environment variables such as
 * `{ONSALE_TIMEZONE: "Asia/Seoul"}`; `folder` and `listen` start it again where it ran before.
 */
export async function start(t, { settings = {}, args = [], folder, listen = "127.0.0.1:0" } = {}) {
  await access(PROGRAM).catch(() => {
    throw new Error(`${PROGRAM} is missing: cargo build -p onsale-server`);
  });
  const place = folder ?? (await mkdtemp(join(tmpdir(), "onsale-browser-")));
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith("ONSALE_"));
  const env = { ...Object.fromEntries(kept), ONSALE_LISTEN: listen, ONSALE_ADMIN_KEY: ADMIN_KEY, ...settings };
  const child = spawn(PROGRAM, ["serve", ...args], { cwd: place, env, stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  const ended = new Promise((resolve) => child.once("exit", resolve));
  let log = "";
  child.stderr.on("data", (bytes) => (log += bytes));
  const stop = async (signal = "SIGTERM") => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    const late = setTimeout(() => child.kill("SIGKILL"), 10_000);
    await ended;
    clearTimeout(late);
    running.delete(child);
  };
  t.after(async () => {
    await stop("SIGKILL");
    if (!folder) await rm(place, { recursive: true, force: true });
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const first = await Promise.race([lines.next(), ended.then((code) => ({ value: `it ended with ${code}` }))]);
  const base = /^onsale listening on (\S+)$/.exec(first.value ?? "")?.[1];
  if (!base) throw new Error(`the server did not start: ${first.value}\n${log}`);
  child.stdout.resume();
  return new Sale(base, { child, folder: place, stop, log: () => log });
}

/** A running server, and the calls with which tests prepare a sale. */
export class Sale {
  constructor(base, { child, folder, stop, log }) {
    Object.assign(this, { base, child, folder, stop, log });
  }

  /** A call that must succeed; its body. */
  async call(method, path, { body, token, key, headers = {} } = {}) {
    const response = await fetch(this.base + path, {
      method,
      headers: {
        ...(body && { "Content-Type": "application/json" }),
        ...(token && { "Queue-Token": token }),
        ...(key && { "Idempotency-Key": key }),
        ...headers,
      },
      body: body && JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
    return text ? JSON.parse(text) : null;
  }

  admin(method, path, body) {
    return this.call(method, path, { body, headers: { Authorization: `Bearer ${ADMIN_KEY}` } });
  }

  /** A concert with these performances (`{startsAt, seats, price}`), each with its `performanceId`. */
  async concert({ title = "Night of the Locks", venue = "Hall of Rows", queue, performances = [{}] } = {}) {
    const concert = await this.admin("POST", "/admin/concerts", { title, venue, ...(queue && { queue }) });
    concert.performances = [];
    for (const { startsAt = inSeconds(7 * 86_400), ...rest } of performances) {
      concert.performances.push(await this.schedule(concert, { startsAt, ...rest }));
    }
    return concert;
  }

  schedule(concert, performance) {
    return this.admin("POST", `/admin/concerts/${concert.concertId}/performances`, performance);
  }

  charge(user, amount) {
    return this.call("PATCH", `/point/${user}/charge`, { body: { amount } });
  }

  /** The place of a user in the room of a concert. */
  enter(user, concert) {
    return this.call("POST", "/queue/tokens", { body: { userId: user, concertId: concert.concertId } });
  }

  /** Seats held by a user who is called at once. */
  async hold(user, concert, performance, seats) {
    const place = await until(`a turn for ${user}`, async () => {
      const place = await this.enter(user, concert);
      return place.status === "ACTIVE" && place;
    });
    return this.call("POST", "/reservations", { token: place.token, body: { performanceId: performance.performanceId, seats } });
  }

  reservations(user) {
    return this.call("GET", `/users/${user}/reservations`);
  }
}

/** An instant in RFC 3339 that many seconds from now. */
export const inSeconds = (seconds) => new Date(Date.now() + seconds * 1_000).toISOString();

/** Asks until `look` gives something, for a bounded time. */
export async function until(what, look) {
  for (const end = Date.now() + PATIENCE; Date.now() < end; ) {
    const found = await look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${what} did not come about within ${PATIENCE / 1_000} s`);
}
