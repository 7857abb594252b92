// A Postgres server of its own, behind a wire that can be cut.

import { execFile, spawn } from "node:child_process";
import { access, chown, mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { until } from "./server.js";

const INSTALLED = "/usr/lib/postgresql";
const run = promisify(execFile);

/** The folder with the programs of the newest version; null if there is none. */
async function programs() {
  const versions = await readdir(INSTALLED).catch(() => []);
  for (const version of versions.sort((one, other) => other - one)) {
    const folder = join(INSTALLED, version, "bin");
    if (await access(join(folder, "initdb")).then(() => true, () => false)) return folder;
  }
  return null;
}

/** Postgres refuses to run as root: the user `postgres` runs it then. */
async function owner() {
  if (process.getuid() !== 0) return {};
  const line = (await readFile("/etc/passwd", "utf8")).split("\n").find((user) => user.startsWith("postgres:"));
  const [uid, gid] = line.split(":").slice(2).map(Number);
  return { uid, gid };
}

const listening = (server) => new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server.address().port)));

/**
 * Starts a server with an empty database, and stops it at the end of test `t`. `cut` ends all connections and refuses new ones
 * until `mend`. Returns null if Postgres is not installed.
 */
export async function postgres(t) {
  const folder = await programs();
  if (!folder) return null;
  const who = await owner();
  const place = await mkdtemp(join(tmpdir(), "onsale-postgres-"));
  if (who.uid !== undefined) await chown(place, who.uid, who.gid);
  const data = join(place, "data");
  const program = (name, ...rest) => run(join(folder, name), rest, { ...who, cwd: "/" });
  await program("initdb", "--no-sync", "-A", "trust", "-E", "UTF8", "--locale=C", "-U", "onsale", "-D", data);
  // A socket in its own folder and no port, which another process could have taken by then.
  const settings = { listen_addresses: "", port: 5432, unix_socket_directories: place, fsync: "off", dynamic_shared_memory_type: "mmap" };
  const named = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const child = spawn(join(folder, "postgres"), ["-D", data, ...named], { ...who, cwd: "/", stdio: "ignore" });
  const end = () => child.kill("SIGQUIT");
  process.on("exit", end);
  const ended = new Promise((resolve) => child.once("exit", resolve));
  t.after(async () => {
    process.off("exit", end);
    end();
    await ended;
    await rm(place, { recursive: true, force: true });
  });
  await until("Postgres", () => program("createdb", "-h", place, "-p", "5432", "-U", "onsale", "onsale").then(() => true, () => false));
  const cutter = await wire(t, join(place, ".s.PGSQL.5432"));
  return { url: `postgres://onsale@127.0.0.1:${cutter.port}/onsale`, ...cutter };
}

/** Passes connections on to a socket while it is not cut. */
async function wire(t, socket) {
  const open = new Set();
  let isCut = false;
  const server = createServer((near) => {
    if (isCut) return near.destroy();
    const far = connect(socket);
    for (const [one, other] of [[near, far], [far, near]]) {
      open.add(one);
      one.on("error", () => {});
      one.on("close", () => {
        open.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
    return null;
  });
  const own = await listening(server);
  const cut = () => {
    isCut = true;
    for (const socket of open) socket.destroy();
  };
  t.after(() => {
    cut();
    server.close();
  });
  return { port: own, cut, mend: () => (isCut = false) };
}
