// The list of documents: filter as you type, more on demand, uploads, and live progress.
import { send } from "../core/http.js";
import { toast } from "../core/toast.js";
import { listen } from "./actions.js";
import { watch } from "./progress.js";
import { start as startSharing } from "./sharing.js";
import { start as startUpload } from "./upload.js";

const WAIT_MS = 180;
const page = document.getElementById("documents");
const found = document.getElementById("documents-found");
const filter = document.getElementById("documents-q");
const status = document.getElementById("documents-status");
const tags = document.getElementById("documents-tags");
let newest = 0;
let timer = 0;

function query(extra = {}) {
  const values = {
    q: filter?.value.trim() ?? "",
    status: status?.value ?? "",
    tag: tags?.querySelector("[aria-pressed=true]")?.dataset.tag ?? "",
    ...extra,
  };
  return new URLSearchParams(Object.entries(values).filter(([, value]) => value));
}

async function fetchRows(extra) {
  const response = await send(`${page.dataset.listUrl}?${query({ partial: "1", ...extra })}`, { method: "GET", headers: { Accept: "text/html" } });
  return response.text();
}

async function refresh() {
  const number = ++newest;
  found.setAttribute("aria-busy", "true");
  try {
    const html = await fetchRows({});
    if (number !== newest) return;
    found.innerHTML = html;
    history.replaceState(null, "", `?${query()}`);
    watchShown();
  } catch (error) {
    toast(error.message, { kind: "bad" });
  } finally {
    found.setAttribute("aria-busy", "false");
  }
}

function watchShown() {
  const rows = found.querySelectorAll("[data-status=WAITING], [data-status=READING]");
  watch([...rows].map((row) => row.dataset.document));
}

async function more(button) {
  button.disabled = true;
  const holder = document.createElement("div");
  holder.innerHTML = await fetchRows({ after: button.dataset.after });
  const next = holder.querySelector("[data-after]");
  found.querySelector("tbody").append(...holder.querySelectorAll("tbody > tr"));
  if (next) button.replaceWith(next);
  else button.parentElement.remove();
  watchShown();
}

filter?.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(refresh, WAIT_MS);
});
status?.addEventListener("change", refresh);
tags?.addEventListener("click", (event) => {
  const chip = event.target.closest("[data-tag]");
  if (!chip) return;
  const wasOn = chip.getAttribute("aria-pressed") === "true";
  for (const other of tags.children) other.setAttribute("aria-pressed", "false");
  chip.setAttribute("aria-pressed", String(!wasOn));
  refresh();
});
found.addEventListener("click", (event) => {
  const button = event.target.closest("[data-after]");
  if (button) more(button);
  if (event.target.closest("[data-clear-filters]")) location.assign(page.dataset.listUrl);
});

listen((id) => found.querySelector(`[data-document="${id}"]`)?.remove());
for (const root of document.querySelectorAll("[data-sharing]")) startSharing(root);
const form = document.getElementById("upload");
if (form) startUpload(form, refresh);
watch(page.dataset.unfinished.split(","), { url: page.dataset.eventsUrl, finished: () => {} });
