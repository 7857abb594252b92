// The overview: what happens in all sales at this moment.

import { fill, h } from "./dom.js";
import { chart } from "./office-chart.js";
import { clockTime, moment, number, points, t } from "./office-language.js";
import { Live } from "./office-live.js";
import { badge, card, figures, filled, redraw, table, viewLink } from "./office-parts.js";

const CHARTS = [["waiting"], ["active"], ["sold"], ["held"], ["refusals"], ["latency", " ms"]];

/** Rows of routes and refusals that are shown. */
const ROWS_MAX = 8;

export async function show(page) {
  const live = new Live(page.signal);
  const charts = CHARTS.map(([name, unit]) => ({ name, ...chart(t(`live.${name}`), { unit }) }));
  const state = h("p", { class: "hint", role: "status" }, t("live.connecting"));
  const [totals, rooms, performances, instances] = [h("div"), h("div"), h("div"), h("div")];
  const draw = () => {
    for (const { name, update } of charts) update(live.history.map((point) => ({ at: point.at, value: Math.round(point[name]) })));
  };
  const titles = () => new Map(live.last.rooms.map(({ concertId, title }) => [concertId, title]));
  const update = () => {
    if (page.signal.aborted) return;
    if (state.dataset.state !== "live") {
      state.dataset.state = "live";
      fill(state, t("live.live"));
    }
    draw();
    const { last } = live;
    redraw(totals, [last.rooms, last.performances], () => totalsOf(last));
    redraw(rooms, last.rooms, () => roomsTable(last.rooms));
    redraw(performances, last.performances, () => performancesTable(last.performances, titles()));
    redraw(instances, last.instances.map(({ seenAt, ...rest }) => rest), () => instancesParts(last.instances));
  };
  live.addEventListener("live", update);
  live.addEventListener("stale", () => {
    if (!live.last || state.dataset.state === "stale") return;
    state.dataset.state = "stale";
    fill(state, t("live.stale", { at: clockTime(live.last.asOf) }));
  });
  draw();
  page.show([page.head(t("menu.overview"), { side: state }), h("div", { class: "charts" }, charts.map(({ element }) => element)), totals,
    card(t("live.rooms"), rooms), card(t("live.performances"), performances), card(t("live.server"), instances)]);
}

const sum = (rows, name) => rows.reduce((total, row) => total + row[name], 0);

const totalsOf = ({ rooms, performances }) => figures([
  [t("admittedLastMinute"), sum(rooms, "admittedLastMinute")], [t("salesLastMinute"), sum(performances, "salesLastMinute")],
  [t("available"), sum(performances.filter(({ cancelled }) => !cancelled), "available")], [t("blocked"), sum(performances, "blocked")],
  [t("revenue"), points(sum(performances, "revenue")), "money"], [t("refunded"), points(sum(performances, "refunded")), "money"],
]);

const roomsTable = (rows) => table({
  caption: t("live.rooms"), rows, empty: t("live.noRooms"),
  columns: [
    { name: t("concert"), cell: ({ concertId, title }) => viewLink(`concerts/${concertId}`, title) },
    { name: t("waiting"), kind: "amount", cell: ({ waiting }) => number(waiting) },
    { name: t("active"), kind: "amount", cell: ({ active }) => number(active) },
    { name: t("admittedLastMinute"), kind: "amount", cell: ({ admittedLastMinute }) => number(admittedLastMinute) },
    { name: t("estimatedEnd"), kind: "amount", cell: ({ estimatedEndAt }) => (estimatedEndAt ? moment(estimatedEndAt) : "–") },
  ],
});

const performancesTable = (rows, titles) => table({
  caption: t("live.performances"), rows: rows.slice(0, 50), empty: t("live.noPerformances"),
  columns: [
    { name: t("performance"), cell: ({ performanceId, concertId, startsAt, cancelled }) => [viewLink(`performances/${performanceId}`, moment(startsAt)), cancelled ? [" ", badge(t("status.cancelled"), "bad")] : "", h("span", { class: "hint block" }, titles.get(concertId) ?? "")] },
    { name: t("soldOf"), kind: "amount", cell: (row) => [h("span", {}, `${number(row.sold)} / ${number(row.capacity)}`), filled(row)] },
    { name: t("held"), kind: "amount", cell: ({ held }) => number(held) },
    { name: t("salesLastMinute"), kind: "amount", cell: ({ salesLastMinute }) => number(salesLastMinute) },
    { name: t("revenue"), kind: "amount", cell: ({ revenue }) => points(revenue) },
  ],
});

/** Refusals of all instances together, and the routes of each. */
function instancesParts(instances) {
  const refusals = new Map();
  for (const { code, count } of instances.flatMap((one) => one.refusals)) refusals.set(code, (refusals.get(code) ?? 0) + count);
  const byCount = [...refusals].map(([code, count]) => ({ code, count })).sort((one, other) => other.count - one.count);
  const routes = instances.flatMap((one, index) => one.routes.map((route) => ({ ...route, instance: index + 1 }))).sort((one, other) => other.count - one.count);
  const milliseconds = (value) => (value == null ? "–" : `${value < 10 ? value.toFixed(1) : number(Math.round(value))} ms`);
  return [
    h("p", { class: "hint" }, t("live.instances", { n: instances.length, shed: sum(instances, "shed") })),
    h("h3", {}, t("live.refusals.title")),
    table({
      caption: t("live.refusals.title"), rows: byCount.slice(0, ROWS_MAX), empty: t("live.noRefusals"),
      columns: [{ name: t("code"), cell: ({ code }) => h("code", {}, code) }, { name: t("count"), kind: "amount", cell: ({ count }) => number(count) }],
    }),
    h("h3", {}, t("live.routes.title")),
    table({
      caption: t("live.routes.title"), rows: routes.slice(0, ROWS_MAX), empty: t("live.noRoutes"),
      columns: [
        { name: t("route"), cell: ({ method, path }) => h("code", {}, `${method} ${path}`) },
        instances.length > 1 && { name: t("instance"), kind: "amount", cell: ({ instance }) => number(instance) },
        { name: t("count"), kind: "amount", cell: ({ count }) => number(count) },
        { name: "p50", kind: "amount", cell: ({ p50Ms }) => milliseconds(p50Ms) }, { name: "p99", kind: "amount", cell: ({ p99Ms }) => milliseconds(p99Ms) },
      ].filter(Boolean),
    }),
  ];
}
