// The live progress of documents: one event stream a visible tab, shown in every element with their id.

const BADGES = { READY: "badge--good", READING: "badge--busy", FAILED: "badge--bad" };
const MOST_WATCHED = 100;
const IN_SECONDS = 90; // up to here the time left is said in seconds, up to as many minutes in minutes
let source = null;
const watched = new Set();
let address = "";
let onFinished = () => {};

/**
 * @param {string} url the address of the events
 * @param {(id: string, status: string) => void} finished called once for each document that was watched to its end
 */
export function start(url, finished) {
  address = url;
  onFinished = finished;
  document.addEventListener("visibilitychange", open);
}

/** @param {Iterable<string>} ids documents to watch, beside those watched already */
export function watch(ids) {
  const before = watched.size;
  for (const id of ids) watched.add(id);
  if (watched.size > before) open();
}

function open() {
  source?.close();
  source = null;
  if (!watched.size || document.hidden) return;
  const asked = [...watched].slice(0, MOST_WATCHED);
  source = new EventSource(`${address}?ids=${asked.join(",")}`);
  source.addEventListener("status", (event) => show(JSON.parse(event.data)));
  source.addEventListener("end", () => {
    // Of those that were not told of, nothing more will be: they are gone, or not ours to read any more.
    for (const id of asked) watched.delete(id);
    open();
  });
}

/** @param {object} progress one status event */
export function show(progress) {
  for (const row of document.querySelectorAll(`[data-document="${progress.id}"]`)) {
    row.dataset.status = progress.status;
    fill(row.querySelector("[data-status-cell]"), progress);
  }
  if (progress.status !== "READY" && progress.status !== "FAILED") return;
  if (watched.delete(progress.id)) onFinished(progress.id, progress.status);
}

function fill(cell, progress) {
  const badge = cell.querySelector("[data-badge]");
  badge.className = `badge ${BADGES[progress.status] ?? ""}`;
  badge.textContent = progress.status_label;
  const isCounting = progress.status === "READING" && progress.total > 0;
  const detail = [progress.step_label];
  if (isCounting) detail.push(text(cell.dataset.textCount, progress));
  if (progress.eta_seconds) detail.push(timeLeft(cell.dataset, progress.eta_seconds));
  cell.querySelector("[data-detail]").textContent = detail.filter(Boolean).join(" · ");
  const bar = cell.querySelector("[data-bar]");
  bar.hidden = !isCounting;
  bar.max = progress.total || 1;
  bar.value = progress.done;
  const reason = cell.querySelector("[data-reason]");
  reason.textContent = progress.reason;
  reason.hidden = !progress.reason;
  const retry = cell.querySelector("[data-retry]");
  if (retry) retry.hidden = !progress.can_retry;
}

function timeLeft(texts, seconds) {
  if (seconds < IN_SECONDS) return text(texts.textSeconds, { n: seconds });
  if (seconds < IN_SECONDS * 60) return text(texts.textMinutes, { n: Math.ceil(seconds / 60) });
  return text(texts.textHours, { n: Math.ceil(seconds / 3600) });
}

function text(pattern, values) {
  return pattern.replace(/\{(\w+)\}/g, (_whole, name) => values[name]);
}
