// Answers that are lost on the way, and how the page shows that.

/**
 * Loses the answers of a method at a path, in the ways in which that happens, until `mend` is called. `seen` are the requests,
 * as `key body`.
 */
export async function broken(context, method, path, way) {
  const seen = [];
  let isBroken = true;
  await context.route(path, async (route) => {
    const request = route.request();
    if (request.method() !== method) return route.continue();
    seen.push(`${request.headers()["idempotency-key"]} ${request.postData() ?? ""}`);
    if (!isBroken) return route.continue();
    if (way !== "never arrived") await route.fetch();
    if (way === "unavailable") {
      const body = JSON.stringify({ title: "A part is away", status: 503, code: "unavailable" });
      return route.fulfill({ status: 503, contentType: "application/problem+json", headers: { "Retry-After": "1" }, body });
    }
    if (way === "another page") return route.fulfill({ status: 200, contentType: "text/html", body: "<h1>Sign in to this network</h1>" });
    if (way === "a proxy's page") return route.fulfill({ status: 404, contentType: "text/html", body: "<h1>404</h1>" });
    return route.abort("connectionreset");
  });
  return { seen, mend: () => (isBroken = false) };
}

/** The different keys of these requests. */
export const keys = (seen) => [...new Set(seen.map((request) => request.split(" ")[0]))];

/** The part of the page that lists the outcomes that are not known. */
export const bar = (page) => page.getByRole("region", { name: "Outcomes that are not known yet" });

/** The sentence about the last write of this kind. */
export const says = (page, what) => bar(page).getByText(new RegExp(`outcome of the last ${what}.* is not known yet; trying again is safe`, "i"));
