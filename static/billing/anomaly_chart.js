// Cost around an anomaly: what was spent as bars, what was expected as a line over them, the anomaly's hours shaded.
// Arrow keys move the read-out. A table says the same.
import uPlot from "../vendor/uplot@1.6.32/uPlot.js";

const place = document.getElementById("anomaly-chart");
const data = JSON.parse(document.getElementById("anomaly-chart-data").textContent);
const [timeLabel, actualLabel, expectedLabel] = place.dataset.labels.split("|");

const language = document.documentElement.lang || undefined;
const isDaily = data.step > 3600;
const clock = isDaily ? {} : { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const said = new Intl.DateTimeFormat(language, { timeZone: data.zone, weekday: "short", day: "numeric", month: "short", ...clock });
const short = new Intl.DateTimeFormat(language, { timeZone: data.zone, day: "numeric", month: "short", ...clock });
const amount = new Intl.NumberFormat(language, { maximumSignificantDigits: 3 });
const colour = (name) => getComputedStyle(place).getPropertyValue(name).trim();
const read = (values) => (_plot, _value, _series, at) => (at === null || at === undefined ? "–" : values(at));

function shade(plot) {
  if (!data.inside) return;
  const { ctx, bbox } = plot;
  const [left, right] = data.inside.map((at) => Math.min(Math.max(plot.valToPos(at, "x", true), bbox.left), bbox.left + bbox.width));
  ctx.save();
  ctx.globalAlpha = 0.18;
  ctx.fillStyle = colour("--cost-held");
  ctx.fillRect(left, bbox.top, Math.max(right - left, 2), bbox.height);
  ctx.restore();
}

function axes() {
  const stroke = colour("--cost-text");
  const line = { stroke: colour("--cost-line"), width: 1 };
  const steps = isDaily ? [1, 2, 7, 14, 28].map((n) => n * 86400) : [6, 12, 24, 48].map((n) => n * 3600);
  return [
    { stroke, grid: { show: false }, ticks: line, space: 90, incrs: steps, values: (_plot, ticks) => ticks.map((at) => short.format(at * 1000)) },
    { stroke, grid: line, ticks: { show: false }, size: 64, values: (_plot, ticks) => ticks.map((tick) => amount.format(tick)) },
  ];
}

function options() {
  return {
    width: place.clientWidth,
    height: 260,
    // The last hour's name is wider than its column.
    padding: [null, 40, null, null],
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), data.zone),
    cursor: { drag: { x: false, y: false }, points: { show: false } },
    scales: {
      x: { range: (_plot, low, high) => [low, high + data.step] },
      y: { range: (_plot, _low, high) => [0, (high || 1) * 1.05] },
    },
    axes: axes(),
    hooks: { drawClear: [shade] },
    series: [
      { label: timeLabel, value: read((at) => said.format(data.at[at] * 1000)) },
      {
        label: actualLabel,
        fill: colour("--cost-now"),
        stroke: colour("--cost-now"),
        width: 0,
        paths: uPlot.paths.bars({ size: [0.8, 40], align: 1 }),
        points: { show: false },
        value: read((at) => data.readActual[at]),
      },
      {
        label: expectedLabel,
        stroke: colour("--cost-before"),
        width: 2,
        paths: uPlot.paths.stepped({ align: 1 }),
        points: { show: false },
        spanGaps: false,
        value: read((at) => data.readExpected[at]),
      },
    ],
  };
}

let plot;

function draw() {
  plot?.destroy();
  plot = new uPlot(options(), [data.at, data.actual, data.expected], place);
}

const last = data.at.length - 1;
const MOVES = { ArrowLeft: (at) => at - 1, ArrowRight: (at) => at + 1, Home: () => 0, End: () => last };
place.tabIndex = 0;
place.setAttribute("role", "group");
place.setAttribute("aria-label", `${actualLabel}, ${expectedLabel}`);
place.addEventListener("keydown", (event) => {
  const move = MOVES[event.key];
  if (!move) return;
  event.preventDefault();
  const now = plot.cursor.idx;
  const next = now === null || now === undefined ? last : Math.min(Math.max(move(now), 0), last);
  plot.setCursor({ left: plot.valToPos(data.at[next], "x"), top: plot.over.clientHeight / 2 });
});

draw();

let width = place.clientWidth;
new ResizeObserver(() => {
  if (place.clientWidth === width) return;
  width = place.clientWidth;
  plot.setSize({ width, height: plot.height });
}).observe(place);
new MutationObserver(draw).observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
