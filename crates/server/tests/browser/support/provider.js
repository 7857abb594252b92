// A real OpenID provider on a free port of this machine: the pages sign in at it. Any login is an account, its `sub` is the login.
//
// As a program: node support/provider.js REDIRECT-URI prints the issuer and runs until its input ends.

import { createServer } from "node:http";
import { fileURLToPath } from "node:url";

import Provider from "oidc-provider";

export const CLIENT = { id: "onsale-tests", secret: "a secret: 32 bytes, 100% odd & {more}+" };

/** Starts a provider that sends browsers back to `redirect`. `listen` and `stop` take it away and bring it back. */
export async function openProvider(redirect) {
  const server = createServer();
  const listen = (port) => new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  await listen(0);
  const { port } = server.address();
  const issuer = `http://127.0.0.1:${port}`;
  const provider = new Provider(issuer, {
    clients: [{
      client_id: CLIENT.id, client_secret: CLIENT.secret, redirect_uris: [redirect], grant_types: ["authorization_code"],
      response_types: ["code"], token_endpoint_auth_method: "client_secret_basic",
    }],
    pkce: { required: () => true },
    cookies: { keys: ["a key for tests only"] },
  });
  server.on("request", provider.callback());
  const stop = () => new Promise((resolve) => {
    server.close(resolve);
    server.closeAllConnections();
  });
  return { issuer, stop, listen: () => listen(port) };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { issuer, stop } = await openProvider(process.argv[2]);
  console.log(issuer);
  process.stdin.resume().on("end", async () => {
    await stop();
    process.exit();
  });
}
