// What the door keeps in this browser: the lists of performances, and scans until the server has answered them. The session is a
// cookie that no script can read, and no key is kept.

const NAME = "onsale-door";

/** Milliseconds after which an answered scan of another performance is deleted. */
const KEPT = 7 * 86_400_000;

let opened = null;

const done = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
});

function database() {
  opened ??= (() => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("values");
      const scans = request.result.createObjectStore("scans", { keyPath: "scanId" });
      scans.createIndex("performance", "performanceId");
      // Only scans without an answer have the field `waiting`.
      scans.createIndex("waiting", "waiting");
    };
    return done(request);
  })();
  return opened;
}

/** A transaction is on the disk before it counts: a phone may be switched off right after a scan. */
async function write(store, task) {
  const transaction = (await database()).transaction(store, "readwrite", { durability: "strict" });
  const settled = new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onerror = transaction.onabort = () => reject(transaction.error);
  });
  task(transaction.objectStore(store));
  await settled;
}

const read = async (store, task) => done(task((await database()).transaction(store).objectStore(store)));

export const getValue = async (name) => (await read("values", (store) => store.get(name))) ?? null;

export const setValue = (name, value) => write("values", (store) => (value == null ? store.delete(name) : store.put(value, name)));

export const putScans = (scans) => write("scans", (store) => scans.forEach((scan) => store.put(scan)));

const inOrder = (scans) => scans.sort((one, other) => one.scannedAt.localeCompare(other.scannedAt));

/** Scans at this door, oldest first. */
export const scansOf = async (performanceId) => inOrder(await read("scans", (store) => store.index("performance").getAll(performanceId)));

/** Scans without an answer, of all performances, oldest first. */
export const waitingScans = async () => inOrder(await read("scans", (store) => store.index("waiting").getAll()));

/** Deletes answered scans of other performances after a week. */
export async function forget(performanceId) {
  const all = await read("scans", (store) => store.getAll());
  const isOld = (scan) => !scan.waiting && scan.performanceId !== performanceId && Date.parse(scan.scannedAt) < Date.now() - KEPT;
  const old = all.filter(isOld);
  if (old.length) await write("scans", (store) => old.forEach(({ scanId }) => store.delete(scanId)));
}
