// The source chooser: its label in the composer, and the filter, which asks the server beyond the documents listed.
import { getJSON } from "../core/http.js";
import { chat, reason, url } from "./page.js";

const WAIT_MS = 150;
const dialog = document.getElementById("sources");
const label = chat.querySelector("[data-sources-label]");
const chooser = dialog.querySelector("[data-chooser]");
const list = dialog.querySelector("[data-chooser-list]");
const filter = dialog.querySelector("[data-chooser-filter]");
const none = dialog.querySelector("[data-chooser-none]");
const noneText = none.textContent;
let timer = 0;
let running = new AbortController();

function boxes() {
  return [...list.querySelectorAll("input")];
}

function showChoice() {
  const choice = dialog.querySelector("[name=sources]:checked");
  const isChosen = choice.value === "CHOSEN";
  const count = boxes().filter((box) => box.checked).length;
  chooser.hidden = !isChosen;
  label.textContent = isChosen ? `${choice.dataset.label} ${count}` : choice.dataset.label;
}

function applyFilter(words) {
  for (const box of boxes()) {
    const row = box.closest("label");
    row.hidden = !row.textContent.toLowerCase().includes(words);
  }
  none.textContent = noneText;
  none.hidden = boxes().some((box) => !box.closest("label").hidden);
}

function add({ id, title }) {
  if (boxes().some((box) => box.value === id)) return;
  const row = dialog.querySelector("[data-chooser-row]").content.firstElementChild.cloneNode(true);
  row.querySelector("input").value = id;
  row.querySelector("span").textContent = title;
  list.append(row);
}

function filterWords() {
  return filter.value.trim().toLowerCase();
}

async function search() {
  const words = filterWords();
  if (!words || !dialog.dataset.truncated) return;
  running.abort();
  running = new AbortController();
  try {
    const { results } = await getJSON(`${url("palette")}?q=${encodeURIComponent(words)}`, { signal: running.signal });
    results.filter((found) => found.kind === "document" && found.id).forEach(add);
    applyFilter(filterWords());
  } catch (error) {
    if (error.name === "AbortError") return;
    none.textContent = reason(error);
    none.hidden = false;
  }
}

dialog.addEventListener("change", showChoice);
dialog.addEventListener("toggle", (event) => {
  if (event.newState === "open") dialog.querySelector("[name=sources]:checked").focus();
});
filter.addEventListener("input", () => {
  applyFilter(filterWords());
  clearTimeout(timer);
  timer = setTimeout(search, WAIT_MS);
});
// Enter in the filter would close the dialog.
filter.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
showChoice();
