// A small line chart: the last minutes of one figure. Its latest value is text, the line is a picture of it.

import { fill, h, svg } from "./dom.js";
import { SPAN } from "./office-live.js";
import { number, t } from "./office-language.js";

const [WIDTH, HEIGHT, EDGE] = [240, 56, 3];

/** The least round number that is not below a value: the top of the chart. */
export function roof(value) {
  if (value <= 4) return 4;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 6, 8, 10].map((step) => step * power).find((step) => step >= value);
}

/** A chart named `title`. `update` shows the points `{at, value}`. */
export function chart(title, { unit = "" } = {}) {
  const value = h("strong", { class: "now" }, "–");
  const top = h("span", { class: "roof hint", "aria-hidden": "true" });
  const line = svg("path", { class: "stroke" });
  const area = svg("path", { class: "area" });
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", class: "plot", "aria-label": title },
    svg("line", { class: "base", x1: 0, x2: WIDTH, y1: HEIGHT - EDGE, y2: HEIGHT - EDGE }), area, line);
  const element = h("figure", { class: "chart" }, h("figcaption", {}, h("span", { class: "hint" }, title), value), picture, top);

  const update = (points) => {
    const last = points.at(-1);
    if (!last) return;
    fill(value, `${number(last.value)}${unit}`);
    const high = roof(Math.max(...points.map((point) => point.value)));
    fill(top, `${number(high)}${unit}`);
    const x = (at) => WIDTH - ((last.at - at) / (SPAN * 1_000)) * WIDTH;
    const y = (amount) => HEIGHT - EDGE - (amount / high) * (HEIGHT - 2 * EDGE);
    const path = points.map((point, index) => `${index ? "L" : "M"}${x(point.at).toFixed(1)} ${y(point.value).toFixed(1)}`).join("");
    line.setAttribute("d", path);
    area.setAttribute("d", `${path}L${WIDTH} ${HEIGHT - EDGE}L${x(points[0].at).toFixed(1)} ${HEIGHT - EDGE}Z`);
    const least = Math.min(...points.map((point) => point.value));
    const most = Math.max(...points.map((point) => point.value));
    picture.setAttribute("aria-label", t("chartWords", { title, now: last.value, least, most }));
  };
  return { element, update };
}
