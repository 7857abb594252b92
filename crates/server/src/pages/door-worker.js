// Keeps the page of the door with its scripts, so that it opens without a network. The version changes with each of these files.

const CACHE = "onsale-door-{{version}}";
const PAGE = self.registration.scope;
const FILES = [{{files}}].map((name) => new URL(`assets/{{version}}/${name}`, PAGE).href);

/** Milliseconds to wait for the server before the kept page opens. */
const SERVER_MAX = 3_000;

async function install() {
  const cache = await caches.open(CACHE);
  await cache.addAll([PAGE, ...FILES].map((url) => new Request(url, { cache: "no-cache" })));
  await self.skipWaiting();
}

async function activate() {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith("onsale-door-") && name !== CACHE).map((name) => caches.delete(name)));
  await self.clients.claim();
}

const kept = async (url) => (await caches.open(CACHE)).match(url, { ignoreVary: true });

/** The page of the server, or the kept one. */
async function page(request) {
  const fresh = fetch(request).catch(() => null);
  const late = new Promise((resolve) => setTimeout(resolve, SERVER_MAX, null));
  const answer = await Promise.race([fresh, late]);
  return answer?.ok ? answer : (await kept(PAGE)) ?? (await fresh) ?? Response.error();
}

const file = async (request) => (await kept(request.url)) ?? fetch(request);

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(activate()));
self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET") return;
  if (request.mode === "navigate" && request.url.split(/[?#]/)[0] === PAGE) event.respondWith(page(request));
  else if (FILES.includes(request.url)) event.respondWith(file(request));
});
