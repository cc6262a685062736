// Citations: the passage previewed on hover or focus of its chip, and opened beside the chat on a click.
import { getJSON } from "../core/http.js";
import { chat, messages, part, reason, text, url } from "./page.js";

const WAIT_MS = 150;
const GAP_PX = 6;
const AROUND_CHARACTERS = 600; // of text the server sends before and after a passage; less means that it is all there is
const beside = chat.querySelector("[data-beside]");
const heading = beside.querySelector("h2");
const body = beside.querySelector("[data-beside-body]");
const preview = document.createElement("div");
preview.className = "preview";
preview.popover = "manual";
document.body.append(preview);

/** @type {Map<string, Promise<any>>} */
const passages = new Map();
let timer = 0;
let opener = null;
let hovered = null;

// Read once a page: the server checks the access each time it is asked. A failed read is not kept.
function passage(id) {
  if (!passages.has(id)) {
    const read = getJSON(url("citation", id));
    read.catch(() => passages.delete(id));
    passages.set(id, read);
  }
  return passages.get(id);
}

function chipOf(event) {
  return event.target.closest?.("[data-citation]");
}

async function show(chip) {
  try {
    const found = await passage(chip.dataset.citation);
    if (!chip.matches(":hover, :focus")) return;
    preview.replaceChildren(...(found.is_available ? previewOf(found) : [part("citation-gone")]));
  } catch (error) {
    preview.textContent = reason(error);
  }
  preview.showPopover();
  const anchor = chip.getBoundingClientRect();
  const own = preview.getBoundingClientRect();
  const below = anchor.bottom + GAP_PX + own.height < innerHeight;
  preview.style.left = `${Math.max(GAP_PX, Math.min(anchor.left, innerWidth - own.width - GAP_PX))}px`;
  preview.style.top = `${below ? anchor.bottom + GAP_PX : Math.max(GAP_PX, anchor.top - own.height - GAP_PX)}px`;
}

function previewOf(found) {
  const where = document.createElement("p");
  where.className = "muted";
  where.textContent = `${found.document_name} · ${text("page", found.page_number)}`;
  const words = document.createElement("p");
  words.textContent = found.text;
  return [where, words];
}

function hide() {
  clearTimeout(timer);
  preview.hidePopover();
}

// The pointer may wander from the chip into the preview, to scroll it.
function isInside(target) {
  return preview.contains(target) || Boolean(target?.closest?.("[data-citation]"));
}

function later(chip) {
  clearTimeout(timer);
  timer = setTimeout(show, WAIT_MS, chip);
}

// A pointer that rests while chips scroll under it asks for nothing: only its own move does.
messages.addEventListener("pointermove", (event) => {
  const chip = event.pointerType === "touch" ? null : chipOf(event);
  if (chip && chip !== hovered) later(chip);
  hovered = chip;
});
document.addEventListener("pointerout", (event) => {
  if (!isInside(event.target) || isInside(event.relatedTarget)) return;
  clearTimeout(timer);
  timer = setTimeout(hide, WAIT_MS);
});
preview.addEventListener("pointerenter", () => clearTimeout(timer));
messages.addEventListener("focusin", (event) => {
  if (chipOf(event)?.matches(":focus-visible")) later(chipOf(event));
});
messages.addEventListener("focusout", (event) => chipOf(event) && hide());
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !preview.matches(":popover-open")) return;
  hide();
  event.preventDefault();
}, { capture: true });

/** Opens the passage beside the chat. */
async function open(chip) {
  hide();
  opener?.removeAttribute("aria-expanded");
  opener = chip;
  try {
    fillBeside(await passage(chip.dataset.citation));
  } catch (error) {
    heading.textContent = "";
    body.textContent = reason(error);
  }
  chip.setAttribute("aria-expanded", "true");
  beside.hidden = false;
  heading.focus({ preventScroll: true });
}

function fillBeside(found) {
  heading.textContent = found.document_name;
  if (!found.is_available) {
    body.replaceChildren(part("citation-gone"));
    return;
  }
  const content = part("citation");
  content.querySelector("[data-where]").textContent = text("page", found.page_number);
  content.querySelector("[data-before]").textContent = whole(found.before, /^\S*\s/, "… ");
  content.querySelector("[data-text]").textContent = found.text;
  content.querySelector("[data-after]").textContent = whole(found.after, /\s\S*$/, " …");
  content.querySelector("[data-open]").href = found.url;
  body.replaceChildren(content);
}

// The text around may begin or end within a word.
function whole(words, cut, sign) {
  return words.length < AROUND_CHARACTERS ? words : words.replace(cut, sign);
}

function close() {
  beside.hidden = true;
  opener?.removeAttribute("aria-expanded");
  opener?.focus({ preventScroll: true });
  opener = null;
}

messages.addEventListener("click", (event) => {
  const chip = chipOf(event);
  if (!chip) return;
  event.preventDefault();
  if (chip === opener) close();
  else open(chip);
});
beside.querySelector("[data-beside-close]").addEventListener("click", close);
// With the focus in the panel Escape closes it, even while an answer that Escape would stop is being written.
beside.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  event.preventDefault();
  close();
});
