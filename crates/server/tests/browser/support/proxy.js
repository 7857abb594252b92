// What stands between a browser and the server: a proxy below a path of its own, a slow line.

import { createServer, request } from "node:http";

/**
 * A proxy on a free port that passes everything below `prefix` on to `base()`; answers for which `isSlow` holds are sent at
 * `pace` bytes a second. Its address, with the prefix. Stopped at the end of test `t`.
 */
export async function proxy(t, base, { prefix = "", isSlow = () => false, pace } = {}) {
  const server = createServer((incoming, outgoing) => {
    const path = incoming.url.slice(prefix.length);
    if (!incoming.url.startsWith(`${prefix}/`)) return outgoing.writeHead(404).end();
    const slow = isSlow(path);
    const headers = { ...incoming.headers, ...(slow && { "accept-encoding": "identity" }) };
    const onward = request(base() + path, { method: incoming.method, headers }, async (answer) => {
      outgoing.writeHead(answer.statusCode, answer.headers);
      if (slow) await trickle(answer, outgoing, pace);
      else answer.pipe(outgoing);
    });
    onward.on("error", () => outgoing.destroy());
    outgoing.on("close", () => onward.destroy());
    return incoming.pipe(onward);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}${prefix}`;
}

async function trickle(answer, outgoing, pace) {
  const chunks = [];
  for await (const chunk of answer) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  for (let sent = 0; sent < body.length && !outgoing.destroyed; sent += pace / 4) {
    outgoing.write(body.subarray(sent, sent + pace / 4));
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  outgoing.end();
}
