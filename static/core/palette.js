// ⌘K: the actions of this page, its pages, and what the server finds among chats and documents.
import { getJSON } from "./http.js";
import { hotkeyElements, keyLabel } from "./hotkeys.js";
import { icon } from "./icons.js";

const WAIT_MS = 120;
const ICONS = { conversation: "message-square", document: "file-text", page: "arrow-right", action: "command" };
const dialog = document.getElementById("palette");
const input = dialog.querySelector("input");
const list = dialog.querySelector("[role=listbox]");
const empty = dialog.querySelector("[data-palette-empty]");
const failed = dialog.querySelector("[data-palette-failed]");

let entries = [];
let selected = 0;
let running = null;
let timer = 0;

function actionName(element) {
  return element.dataset.tip || element.getAttribute("aria-label") || element.textContent.trim();
}

// Pages from the template, and every action of this page that has a key.
function ownEntries() {
  const pages = [...dialog.querySelector("[data-palette-pages]").content.querySelectorAll("a")].map((link) => ({
    kind: "page", title: link.textContent, url: link.getAttribute("href"), icon: link.dataset.icon,
  }));
  const actions = hotkeyElements().filter((element) => element.dataset.opens !== "palette").map((element) => ({
    kind: "action", title: actionName(element), key: element.dataset.hotkey, element,
  }));
  return [...pages, ...actions];
}

function isMatch(entry, words) {
  const title = entry.title.toLowerCase();
  return words.every((word) => title.includes(word));
}

function option(entry, index) {
  const item = document.createElement(entry.url ? "a" : "button");
  item.className = "menu__item";
  item.id = `palette-${index}`;
  item.tabIndex = -1;
  item.setAttribute("role", "option");
  if (entry.url) item.href = entry.url;
  const title = document.createElement("span");
  title.className = "truncate";
  title.textContent = entry.title;
  item.append(icon(entry.icon ?? ICONS[entry.kind] ?? ICONS.page), title);
  const aside = document.createElement(entry.key ? "kbd" : "span");
  aside.textContent = entry.key ? keyLabel(entry.key) : entry.detail ?? "";
  if (!entry.key) aside.className = "muted small truncate";
  if (aside.textContent) item.append(aside);
  item.addEventListener("click", () => choose(entry));
  item.addEventListener("pointermove", () => select(index));
  return item;
}

function select(index) {
  selected = index;
  [...list.children].forEach((item, at) => item.setAttribute("aria-selected", String(at === index)));
  const item = list.children[index];
  if (item) {
    input.setAttribute("aria-activedescendant", item.id);
    item.scrollIntoView({ block: "nearest" });
  } else {
    input.removeAttribute("aria-activedescendant");
  }
}

function show(found) {
  entries = found;
  list.replaceChildren(...entries.map(option));
  list.hidden = entries.length === 0;
  select(0);
}

function choose(entry) {
  dialog.close();
  if (!entry.element) return;
  if (entry.element.matches("input, textarea, select")) entry.element.focus();
  else entry.element.click();
}

async function search() {
  const query = input.value.trim();
  const own = ownEntries().filter((entry) => isMatch(entry, query.toLowerCase().split(/\s+/)));
  running?.abort();
  running = new AbortController();
  failed.hidden = true;
  try {
    const { results } = await getJSON(`${dialog.dataset.url}?q=${encodeURIComponent(query)}`, { signal: running.signal });
    finish([...results, ...own], query);
  } catch (error) {
    if (error.name === "AbortError") return;
    failed.hidden = false;
    show(own);
  }
}

function finish(found, query) {
  show(found);
  empty.hidden = found.length > 0 || !query;
}

input.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(search, WAIT_MS);
});

input.addEventListener("keydown", (event) => {
  if (event.isComposing || !["ArrowDown", "ArrowUp", "Enter"].includes(event.key)) return;
  event.preventDefault();
  if (event.key === "Enter") list.children[selected]?.click();
  else if (entries.length) select((selected + (event.key === "ArrowDown" ? 1 : -1) + entries.length) % entries.length);
});

// Opened by any [data-opens=palette]: its `toggle` says so.
dialog.addEventListener("toggle", (event) => {
  if (event.newState !== "open") return;
  input.value = "";
  show(ownEntries());
  empty.hidden = true;
  search();
});
