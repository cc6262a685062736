// The list column: search as you type, the archive, more on scrolling, and which row is the open conversation.
import { send } from "../core/http.js";
import { chat } from "./page.js";

const WAIT_MS = 150;
const list = document.querySelector("[data-conversation-list]");
const filter = document.querySelector("[data-conversation-filter]");
const archived = filter.querySelector("[data-archived]");
const failed = document.querySelector("[data-list-failed]");
const status = document.querySelector("[data-list-status]");
let running = new AbortController();
let timer = 0;

export function isArchive() {
  return archived.getAttribute("aria-pressed") === "true";
}

async function load(after = "") {
  running.abort();
  running = new AbortController();
  const query = new URLSearchParams({ q: filter.elements.q.value.trim(), archived: isArchive() ? "1" : "", after });
  const response = await send(`${filter.dataset.url}?${query}`, {
    method: "GET", headers: { Accept: "text/html" }, signal: running.signal,
  });
  return new DOMParser().parseFromString(await response.text(), "text/html").body;
}

// Shows what `work` loads; a newer request makes an older one pointless, and a failed one is said.
async function shown(work) {
  try {
    await work();
    failed.hidden = true;
    markCurrent();
    watchMore();
  } catch (error) {
    if (error.name === "AbortError") return;
    failed.hidden = false;
    if (error.name !== "RequestError") throw error;
  }
}

export function refreshList() {
  return shown(async () => list.replaceChildren(...(await load()).children));
}

async function search() {
  await refreshList();
  if (filter.elements.q.value.trim()) status.textContent = `${status.dataset.found} ${rows().length}`;
}

function more(button) {
  button.disabled = true;
  return shown(async () => {
    const page = await load(button.dataset.more);
    if (!button.isConnected) return; // the list has been replaced meanwhile
    list.querySelector("ul").append(...page.querySelectorAll("li"));
    button.replaceWith(...page.querySelectorAll("[data-more]"));
  });
}

// The button is for keys and fingers; coming near it is enough.
const observer = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting && !entry.target.disabled) more(entry.target);
}, { root: document.querySelector(".sidebar"), rootMargin: "200px" });

function watchMore() {
  observer.disconnect();
  const button = list.querySelector("[data-more]");
  if (!button) return;
  button.disabled = false;
  observer.observe(button);
}

function rows() {
  return [...list.querySelectorAll("[data-conversation]")];
}

function row(id) {
  return rows().find((link) => link.dataset.conversation === id);
}

export function markCurrent() {
  for (const link of rows()) {
    if (link.dataset.conversation === chat.dataset.conversation) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

export function renameRow(id, words) {
  const link = row(id);
  if (!link) return;
  link.title = words;
  link.querySelector(".truncate").textContent = words;
}

export function removeRow(id) {
  const link = row(id);
  if (!link) return;
  if (rows().length === 1) refreshList();
  else link.closest("li").remove();
}

filter.addEventListener("submit", (event) => event.preventDefault());
filter.elements.q.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(search, WAIT_MS);
});
archived.addEventListener("click", () => {
  archived.setAttribute("aria-pressed", String(!isArchive()));
  refreshList();
});
list.addEventListener("click", (event) => {
  const button = event.target.closest("[data-more]");
  if (button) more(button);
});
watchMore();
