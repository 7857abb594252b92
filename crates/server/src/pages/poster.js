// A poster for each concert, drawn from its id: a hall from above with some lit seats.

import { svg } from "./dom.js";

/** Deterministic numbers in [0, 1) from a text (mulberry32 over FNV-1a). */
function numbers(text) {
  let state = 2_166_136_261;
  for (const character of text) state = Math.imul(state ^ character.codePointAt(0), 16_777_619);
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** The golden angle keeps the hues of neighbours far apart. */
export const hueOf = (index) => String(Math.round((262 + index * 137.508) % 360));

export function poster(concert, index, { wide = false } = {}) {
  const next = numbers(concert.concertId.slice(0, 8) + concert.title);
  const [width, height] = wide ? [1200, 200] : [480, 240];
  const middle = wide ? width * 0.78 : width * 0.5;
  const stage = height * 1.16;
  const dots = { lit: "", warm: "", dim: "" };
  const rows = wide ? 13 : 10;
  for (let row = 0; row < rows; row++) {
    const radius = 58 + row * 21;
    const seats = Math.floor((Math.PI * radius) / 17);
    for (let seat = 0; seat <= seats; seat++) {
      const angle = Math.PI * (seat / seats);
      const isAisle = Math.abs(angle - Math.PI / 3) < 6 / radius || Math.abs(angle - (2 * Math.PI) / 3) < 6 / radius;
      const x = middle - Math.cos(angle) * radius * 1.12;
      const y = stage - Math.sin(angle) * radius;
      const shine = next();
      if (isAisle || y > height + 4) continue;
      const kind = shine > 0.93 ? "lit" : shine > 0.62 ? "warm" : "dim";
      dots[kind] += `M${x.toFixed(1)} ${y.toFixed(1)}h0`;
    }
  }
  const stageLight = svg("circle", { cx: middle, cy: stage, r: 40, class: "stage" });
  const drawn = { class: "poster", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "xMidYMid slice" };
  return svg("svg", { ...drawn, "aria-hidden": "true", vars: { "--hue": hueOf(index) } }, stageLight,
    // One path for all seats of a kind, each a line without length: a page of posters stays small.
    Object.entries(dots).map(([kind, d]) => svg("path", { class: `dot ${kind}`, d })));
}

/** Bars as on a printed ticket, drawn from an id. They say nothing to a scanner. */
export function bars(id) {
  const next = numbers(id);
  const drawn = [];
  let x = 0;
  while (x < 196) {
    const width = 1 + Math.floor(next() * 3);
    drawn.push(svg("rect", { x, y: 0, width, height: 40 }));
    x += width + 1 + Math.floor(next() * 3);
  }
  return svg("svg", { class: "bars", viewBox: "0 0 200 40", preserveAspectRatio: "none", "aria-hidden": "true" }, drawn);
}
