// The live progress of documents: one event stream a visible tab, shown in every element with their id.

const BADGES = { READY: "badge--good", READING: "badge--busy", FAILED: "badge--bad" };
let source = null;
let watched = new Set();
let address = "";
let onFinished = () => {};

/**
 * Show the progress of these documents, beside those watched already.
 * @param {Iterable<string>} ids
 * @param {{url?: string, finished?: (id: string, status: string) => void}} [options]
 */
export function watch(ids, { url, finished } = {}) {
  if (url) address = url;
  if (finished) onFinished = finished;
  const before = watched.size;
  for (const id of ids) if (id) watched.add(id);
  if (watched.size > before || !source) open();
}

function open() {
  source?.close();
  source = null;
  if (!watched.size || document.hidden) return;
  source = new EventSource(`${address}?ids=${[...watched].slice(0, 100).join(",")}`);
  source.addEventListener("status", (event) => show(JSON.parse(event.data)));
  source.addEventListener("end", () => {
    source.close();
    source = null;
    if (watched.size) open();
  });
}

document.addEventListener("visibilitychange", open);

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
  if (!cell) return;
  const badge = cell.querySelector("[data-badge]");
  badge.className = `badge ${BADGES[progress.status] ?? ""}`;
  badge.textContent = progress.status_label;
  const isCounting = progress.status === "READING" && progress.total > 0;
  const detail = [progress.step_label];
  if (isCounting) detail.push(text(cell.dataset.textCount, progress));
  if (progress.eta_seconds) detail.push(text(cell.dataset.textLeft, { seconds: progress.eta_seconds }));
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

function text(pattern, values) {
  return pattern.replace(/\{(\w+)\}/g, (_whole, name) => values[name]);
}
