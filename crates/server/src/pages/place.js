// The base path of this server: pages and assets come from it, below whatever path a proxy puts before its own.

const root = import.meta.url.slice(0, import.meta.url.lastIndexOf("/assets/"));

/** The URL of a path of this server, such as `/concerts`. */
export const at = (path) => root + path;
