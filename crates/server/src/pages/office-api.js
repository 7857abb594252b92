// Calls of the back office: with the session's cookie, each change under an idempotency key until an answer decides it.

import { Problem, persist, send } from "./api.js";
import { health } from "./office-health.js";
import { session } from "./office-session.js";
import { randomKey } from "./session.js";

export { Problem };

/** Makes a call again after a sign-in if the session has ended. */
async function guarded(call) {
  for (;;) {
    try {
      return await call();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (problem.isPassing) health.look();
      if (problem.status !== 401) throw problem;
      await session.renew();
    }
  }
}

/** A page of a list: `body` and `more`, which requests the next page if there is one. */
export async function list(path) {
  const follow = (call) => async () => {
    const { body, more } = await guarded(call);
    return { body, more: more && follow(more) };
  };
  return follow(() => send("desk", "GET", path, { quiet: true }))();
}

export const get = async (path) => (await list(path)).body;

/** The body of an answer; null if the server has nothing of this kind. */
export async function find(path) {
  try {
    return await get(path);
  } catch (problem) {
    if (problem instanceof Problem && problem.status === 404) return null;
    throw problem;
  }
}

/**
 * Sends changes of one form. The same change that is sent again, because no answer came, keeps its key: it is done once.
 */
export function writer() {
  let open = null;
  return async (method, path, body) => {
    const text = `${method} ${path} ${JSON.stringify(body ?? null)}`;
    if (open?.text !== text) open = { text, key: randomKey() };
    const { key } = open;
    try {
      const answer = await guarded(() => persist(() => send("desk", method, path, { key, body, quiet: true })));
      open = null;
      return answer.body;
    } catch (problem) {
      if (problem instanceof Problem && problem.isDecision) open = null;
      throw problem;
    }
  };
}

/** The query of a path: fields that have a value. */
export function query(fields) {
  const named = Object.entries(fields).filter(([, value]) => value !== "" && value != null);
  return named.length ? `?${new URLSearchParams(named)}` : "";
}
