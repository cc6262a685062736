// Cost by day: the span shown as full bars, the span before as outlines around them. Arrow keys move the read-out; Enter or a
// click opens the day's calls. A table says the same.
import uPlot from "../vendor/uplot@1.6.32/uPlot.js";

const place = document.getElementById("cost-chart");
const data = JSON.parse(document.getElementById("cost-chart-data").textContent);
const [dayLabel, nowLabel, beforeLabel, callsLabel, unit] = place.dataset.labels.split("|");

const MILLION = 1e6;
const last = data.amounts.findLastIndex((value) => value !== null);
const colour = (name) => getComputedStyle(place).getPropertyValue(name).trim();
const days = data.days.map((day) => Date.parse(`${day}T00:00Z`) / 1000);
const language = document.documentElement.lang || undefined;
const dayFormat = new Intl.DateTimeFormat(language, { timeZone: "UTC", weekday: "short", day: "numeric", month: "short" });
const amount = new Intl.NumberFormat(language, { maximumSignificantDigits: 3 });
const count = new Intl.NumberFormat(language);
const read = (values) => (_plot, _value, _series, at) => (at === null || at === undefined ? "–" : values(at));

function series() {
  return [
    { label: dayLabel, value: read((at) => dayFormat.format(days[at] * 1000)) },
    {
      label: nowLabel,
      fill: colour("--cost-now"),
      stroke: colour("--cost-now"),
      width: 0,
      paths: uPlot.paths.bars({ size: [0.7, 40] }),
      points: { show: false },
      value: read((at) => (data.amounts[at] === null ? "–" : data.read[at])),
    },
    {
      label: beforeLabel,
      stroke: colour("--cost-before"),
      width: 1.5,
      paths: uPlot.paths.bars({ size: [0.9, 56] }),
      points: { show: false },
      value: read((at) => data.readBefore[at]),
    },
    {
      label: callsLabel,
      scale: "none",
      show: true,
      paths: () => null,
      points: { show: false },
      value: read((at) => (data.amounts[at] === null ? "–" : count.format(data.calls[at]))),
    },
  ];
}

function axes() {
  const stroke = colour("--cost-text");
  const line = { stroke: colour("--cost-line"), width: 1 };
  const short = new Intl.DateTimeFormat(language, { timeZone: "UTC", day: "numeric", month: "short" });
  return [
    { stroke, grid: { show: false }, ticks: line, space: 64, incrs: [1, 2, 7, 14, 28, 56, 91].map((n) => n * 86400), values: (_plot, ticks) => ticks.map((at) => short.format(at * 1000)) },
    { stroke, grid: line, ticks: { show: false }, size: 80, values: (_plot, ticks) => ticks.map((tick) => `${amount.format(tick)} ${unit}`) },
  ];
}

function open(at) {
  if (at !== null && at !== undefined && data.calls[at]) location.assign(data.links[at]);
}

// Without a pointer over it the chart reads out its last day.
function ready(made) {
  const rest = () => queueMicrotask(() => made.setLegend({ idx: last }));
  made.over.addEventListener("click", () => open(made.cursor.idx));
  made.over.addEventListener("mouseleave", rest);
  rest();
}

function options() {
  return {
    width: place.clientWidth,
    height: 260,
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "UTC"),
    cursor: { drag: { x: false, y: false }, points: { show: false } },
    scales: {
      x: { range: (_plot, low, high) => [low - 43200, high + 43200] },
      y: { range: (_plot, _low, high) => [0, (high || 1) * 1.05] },
      none: { range: () => [0, 1] },
    },
    axes: axes(),
    series: series(),
    hooks: { ready: [ready] },
  };
}

const units = (values) => values.map((value) => (value === null ? null : value / MILLION));
let plot;

function draw() {
  plot?.destroy();
  plot = new uPlot(options(), [days, units(data.amounts), units(data.before), data.calls], place);
}

// The keyboard's way to the read-out.
const MOVES = { ArrowLeft: (at) => at - 1, ArrowRight: (at) => at + 1, Home: () => 0, End: () => last };
place.tabIndex = 0;
place.setAttribute("role", "group");
place.setAttribute("aria-label", `${nowLabel}, ${beforeLabel}`);
place.addEventListener("keydown", (event) => {
  const at = plot.cursor.idx ?? last;
  if (event.key === "Enter") open(at);
  const move = MOVES[event.key];
  if (!move) return;
  event.preventDefault();
  const next = Math.min(Math.max(plot.cursor.idx === null || plot.cursor.idx === undefined ? last : move(at), 0), days.length - 1);
  plot.setCursor({ left: plot.valToPos(days[next], "x"), top: plot.over.clientHeight / 2 });
});

draw();

let width = place.clientWidth;
new ResizeObserver(() => {
  if (place.clientWidth === width) return;
  width = place.clientWidth;
  plot.setSize({ width, height: plot.height });
}).observe(place);
new MutationObserver(draw).observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
