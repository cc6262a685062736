// The chart of days: what a day cost is read out under the heading while it is pointed at or has the focus, and the
// arrow keys go from day to day, so that the chart is one stop for Tab. Without this script each day is a plain link.

const MOVES = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -7, ArrowDown: 7, Home: -Infinity, End: Infinity };

function start(chart) {
  const readout = chart.querySelector("[data-readout]");
  const resting = readout.textContent;
  const links = [...chart.querySelectorAll("a[data-says]")];

  const say = (day) => {
    readout.textContent = day ? day.dataset.says : resting;
  };
  const stopAt = (link) => {
    for (const one of links) one.tabIndex = one === link ? 0 : -1;
  };

  stopAt(links.at(-1));
  for (const day of chart.querySelectorAll("[data-says]")) {
    day.parentElement.addEventListener("pointerenter", () => say(day));
    day.parentElement.addEventListener("pointerleave", () => say(links.find((one) => one === document.activeElement)));
    day.addEventListener("focus", () => {
      say(day);
      stopAt(day);
    });
    day.addEventListener("blur", () => say(null));
  }
  chart.addEventListener("keydown", (event) => {
    const at = links.indexOf(event.target);
    const move = MOVES[event.key];
    if (at < 0 || move === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    links[Math.min(Math.max(at + move, 0), links.length - 1)].focus();
  });
}

for (const chart of document.querySelectorAll("[data-days]")) start(chart);
