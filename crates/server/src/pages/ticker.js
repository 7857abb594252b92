// A worker that ticks: browsers slow down the timers of pages that are out of sight, down to one a minute, but not these.

addEventListener("message", ({ data }) => setInterval(() => postMessage(null), data));
