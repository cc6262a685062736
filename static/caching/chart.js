// The chart of a keyspace's reads: stacked by level, with the hit rate below, both under one cursor. A table says the same.
import uPlot from "../vendor/uplot@1.6.32/uPlot.js";

const place = document.getElementById("cache-chart");
const data = JSON.parse(document.getElementById("cache-chart-data").textContent);
const [time, memory, valkey, computed, past, hitRate, reads] = place.dataset.labels.split("|");

const LEVELS = [
  { key: "past", label: past, colour: "--cache-past" },
  { key: "computed", label: computed, colour: "--cache-computed" },
  { key: "valkey", label: valkey, colour: "--cache-valkey" },
  { key: "memory", label: memory, colour: "--cache-memory" },
];

const colour = (name) => getComputedStyle(place).getPropertyValue(name).trim();
const count = new Intl.NumberFormat(document.documentElement.lang || undefined);
const utc = (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC");

// Each band reaches from the sum of those below it to its own top, so the topmost is drawn first.
function stacked() {
  const tops = [];
  let below = data.at.map(() => 0);
  for (const { key } of [...LEVELS].reverse()) {
    below = data[key].map((value, at) => below[at] + value);
    tops.unshift(below);
  }
  return [data.at, ...tops];
}

// The smallest step a format is for, then the format, and what stands below it where a new day begins.
const HOURS = [60, "{HH}:{mm}", null, null, "\n{YYYY}-{MM}-{DD}", null, null, null, 1];
const DAYS = [86400, "{MM}-{DD}", "\n{YYYY}", null, null, null, null, null, 1];

function axes(format, step) {
  const stroke = colour("--cache-text");
  const line = { stroke: colour("--cache-line"), width: 1 };
  return [
    { stroke, grid: { show: false }, ticks: line, values: [DAYS, HOURS] },
    { stroke, grid: line, ticks: { show: false }, size: 56, incrs: step, values: (_plot, ticks) => ticks.map(format) },
  ];
}

// Where somebody changed the policy or purged: a dashed line through both charts.
function markChanges(plot) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = colour("--cache-strong");
  ctx.setLineDash([4, 4]);
  for (const at of data.changes) {
    const x = Math.min(Math.max(plot.valToPos(at, "x", true), bbox.left), bbox.left + bbox.width);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

function options(rest) {
  return {
    width: place.clientWidth,
    tzDate: utc,
    hooks: { draw: [markChanges] },
    cursor: { sync: { key: "cache" }, drag: { x: false, y: false }, points: { show: false } },
    ...rest,
  };
}

function readsChart() {
  const bars = uPlot.paths.bars({ size: [0.9, 60], gap: 0 });
  return options({
    height: 240,
    scales: { y: { range: (_plot, _low, high) => [0, Math.max(1, high) * 1.05] } },
    axes: axes((value) => count.format(value), [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 1e6, 1e7]),
    series: [
      { label: time, value: "{YYYY}-{MM}-{DD} {HH}:{mm}" },
      ...LEVELS.map(({ key, label, colour: name }) => ({
        label,
        fill: colour(name),
        stroke: colour(name),
        width: 0,
        paths: bars,
        points: { show: false },
        value: (_plot, _value, _series, at) => (at === null ? "–" : count.format(data[key][at])),
      })),
    ],
  });
}

function rateChart() {
  return options({
    height: 140,
    scales: { y: { range: [0, 100] } },
    axes: axes((value) => `${value} %`, [50]),
    series: [
      { label: time, value: "{YYYY}-{MM}-{DD} {HH}:{mm}" },
      {
        label: hitRate,
        stroke: colour("--cache-memory"),
        width: 2,
        spanGaps: false,
        points: { size: 4 },
        value: (_plot, value) => (value === null || value === undefined ? "–" : `${value} %`),
      },
    ],
  });
}

let plots = [];

function draw() {
  for (const plot of plots) plot.destroy();
  plots = [
    new uPlot(readsChart(), stacked(), place),
    new uPlot(rateChart(), [data.at, data.share], place),
  ];
}

place.setAttribute("role", "img");
place.setAttribute("aria-label", `${reads}, ${hitRate}`);
draw();

let width = place.clientWidth;
new ResizeObserver(() => {
  if (place.clientWidth === width) return;
  width = place.clientWidth;
  for (const plot of plots) plot.setSize({ width, height: plot.height });
}).observe(place);
new MutationObserver(draw).observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
