// A request as a curl command for a POSIX shell.

/** In single quotes nothing is special but the quote itself. */
const quote = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** `headers` are pairs; a value that starts with `$` is left to the shell, which knows the secret. */
export function curl({ method, url, headers, body, isStream }) {
  const parts = [`curl -i${isStream ? "N" : ""}${method === "GET" || (method === "POST" && body) ? "" : ` -X ${method}`} ${quote(url)}`];
  for (const [name, value] of headers) {
    parts.push(`-H ${value.includes("$") ? `"${name}: ${value}"` : quote(`${name}: ${value}`)}`);
  }
  if (body) parts.push(`-d ${quote(body)}`);
  return parts.join(" \\\n  ");
}
