// The list of documents: filter as you type, more on demand, uploads, and live progress.
import { send } from "../core/http.js";
import { toast } from "../core/toast.js";
import { listen } from "./actions.js";
import { start as startProgress, watch } from "./progress.js";
import { start as startSharing } from "./sharing.js";
import { start as startUpload } from "./upload.js";

const WAIT_MS = 180;
const page = document.getElementById("documents");
const found = document.getElementById("documents-found");
const filters = document.getElementById("documents-filters");
const filter = document.getElementById("documents-q");
const status = document.getElementById("documents-status");
const tags = document.getElementById("documents-tags");
const count = document.getElementById("documents-count");
let newest = 0;
let timer = 0;

function query(extra = {}) {
  const values = {
    q: filter.value.trim(),
    status: status.value,
    tag: tags.querySelector("[aria-pressed=true]")?.dataset.tag ?? "",
    ...extra,
  };
  return new URLSearchParams(Object.entries(values).filter(([, value]) => value)).toString();
}

async function fetchPage(extra) {
  const response = await send(`${page.dataset.listUrl}?${query(extra)}`, { method: "GET", headers: { Accept: "text/html" } });
  if (response.redirected) location.reload(); // signed out meanwhile
  return new DOMParser().parseFromString(await response.text(), "text/html");
}

// Shows the list as it is now; `whole` renews the tags, too, which an upload may have added to.
async function refresh({ whole = false } = {}) {
  const number = ++newest;
  found.setAttribute("aria-busy", "true");
  try {
    const fresh = await fetchPage(whole ? {} : { partial: "1" });
    if (number !== newest) return;
    const wanted = query();
    history.replaceState(null, "", wanted ? `?${wanted}` : location.pathname);
    if (whole) renewTags(fresh);
    const focused = found.contains(document.activeElement) && document.activeElement.closest("[data-document]")?.dataset.document;
    found.replaceChildren(...(whole ? fresh.getElementById("documents-found") : fresh.body).children);
    if (focused) found.querySelector(`[data-document="${focused}"] a`)?.focus();
    count.textContent = found.querySelector("[data-count]")?.dataset.count ?? "";
    watchShown();
  } catch (error) {
    toast(error.message, { kind: "bad" });
  } finally {
    if (number === newest) found.setAttribute("aria-busy", "false");
  }
}

function renewTags(fresh) {
  filters.hidden = fresh.getElementById("documents-filters").hidden;
  page.toggleAttribute("data-empty", filters.hidden);
  tags.replaceChildren(...fresh.getElementById("documents-tags").children);
}

function watchShown() {
  const rows = found.querySelectorAll("[data-status=WAITING], [data-status=READING]");
  watch([...rows].map((row) => row.dataset.document));
}

async function more(button) {
  button.disabled = true;
  try {
    const fresh = await fetchPage({ partial: "1", after: button.dataset.after });
    const rows = [...fresh.querySelectorAll("tbody > tr")];
    found.querySelector("tbody").append(...rows);
    rows[0]?.querySelector("a").focus();
    const next = fresh.querySelector(".documents__more");
    if (next) button.parentElement.replaceWith(next);
    else button.parentElement.remove();
    watchShown();
  } catch (error) {
    button.disabled = false;
    toast(error.message, { kind: "bad" });
  }
}

// What was read has pages now, which its events don't tell.
async function renewName(id) {
  const fresh = await fetchPage({ partial: "1" });
  const selector = `[data-document="${id}"] .documents__name`;
  const [shown, renewed] = [found.querySelector(selector), fresh.querySelector(selector)];
  if (shown && renewed && !shown.contains(document.activeElement)) shown.replaceWith(renewed);
}

function chooseTag(name) {
  const isOn = [...tags.children].some((chip) => chip.dataset.tag === name && chip.getAttribute("aria-pressed") === "true");
  for (const chip of tags.children) chip.setAttribute("aria-pressed", String(!isOn && chip.dataset.tag === name));
  refresh();
}

function drop(id) {
  const row = found.querySelector(`[data-document="${id}"]`);
  const near = row?.nextElementSibling ?? row?.previousElementSibling;
  row?.remove();
  if (near) near.querySelector("a").focus();
  else refresh({ whole: true });
}

filter.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(refresh, WAIT_MS);
});
status.addEventListener("change", () => refresh());
tags.addEventListener("click", (event) => {
  const chip = event.target.closest("[data-tag]");
  if (chip) chooseTag(chip.dataset.tag);
});
found.addEventListener("click", (event) => {
  const button = event.target.closest("[data-after]");
  if (button) more(button);
  if (event.target.closest("[data-clear-filters]")) location.assign(page.dataset.listUrl);
  const tag = event.target.closest("[data-choose-tag]");
  if (!tag || event.ctrlKey || event.metaKey || ![...tags.children].some((chip) => chip.dataset.tag === tag.dataset.chooseTag)) return;
  event.preventDefault();
  chooseTag(tag.dataset.chooseTag);
});
// A menu near the bottom of the window opens upwards.
found.addEventListener("toggle", (event) => {
  if (!event.target.open) return;
  const list = event.target.querySelector(".menu__list");
  event.target.classList.remove("menu--up");
  const { top, bottom } = list.getBoundingClientRect();
  event.target.classList.toggle("menu--up", bottom > innerHeight && top > list.offsetHeight * 2);
}, { capture: true });

listen(drop);
for (const root of document.querySelectorAll("[data-sharing]")) startSharing(root);
const form = document.getElementById("upload");
if (form) startUpload(form, () => refresh({ whole: true }));
startProgress(page.dataset.eventsUrl, (id, state) => state === "READY" && renewName(id));
watchShown();
