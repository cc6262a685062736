// The search for colleagues: a combobox whose focus stays in its field, and the chips of those chosen.
import { getJSON } from "../core/http.js";

const WAIT_MS = 150;
const GAP_PX = 4;

/** @param {HTMLElement} root the element with the field, the list, the chips and the note */
export function start(root, url) {
  const search = root.querySelector("[data-people-search]");
  const found = root.querySelector("[data-found]");
  const list = found.querySelector("[role=listbox]");
  const note = root.querySelector("[data-people-note]");
  let timer = 0;
  let newest = 0;
  let active = null;

  const say = (pattern = "", name = "") => {
    delete note.dataset.bad;
    note.textContent = pattern.replace("{name}", name);
  };
  const place = () => {
    const field = search.getBoundingClientRect();
    const height = found.offsetHeight;
    const isRoomBelow = field.bottom + GAP_PX + height < innerHeight || field.top < height;
    found.style.left = `${field.left}px`;
    found.style.width = `${field.width}px`;
    found.style.top = `${isRoomBelow ? field.bottom + GAP_PX : field.top - height - GAP_PX}px`;
  };
  const activate = (item) => {
    active?.setAttribute("aria-selected", "false");
    active = item;
    active?.setAttribute("aria-selected", "true");
    active?.scrollIntoView({ block: "nearest" });
    if (active) search.setAttribute("aria-activedescendant", active.id);
    else search.removeAttribute("aria-activedescendant");
  };
  const close = () => {
    newest += 1; // an answer still on its way opens nothing
    clearTimeout(timer);
    activate(null);
    if (isOpen()) found.hidePopover();
    search.setAttribute("aria-expanded", "false");
  };
  const isOpen = () => found.matches(":popover-open");
  const look = async () => {
    const number = ++newest;
    let people;
    try {
      ({ people } = await getJSON(`${url}?q=${encodeURIComponent(search.value.trim())}`));
    } catch (error) {
      say(error.message);
      return;
    }
    if (number !== newest) return;
    const taken = new Set([...root.querySelectorAll("[name=people]")].map((input) => input.value));
    list.replaceChildren(...people.filter((person) => !taken.has(person.id)).map((person) => option(person, list.id)));
    if (!list.childElementCount) {
      close();
      say(search.value.trim() ? note.dataset.textNone : "");
      return;
    }
    if (!("bad" in note.dataset)) say();
    if (!isOpen()) found.showPopover();
    place();
    search.setAttribute("aria-expanded", "true");
    activate(search.value.trim() ? list.firstElementChild : null);
  };
  const choose = (item) => {
    add(root, item.dataset.id, item.dataset.name);
    search.value = "";
    close();
    say(note.dataset.textAdded, item.dataset.name);
    search.focus();
  };
  const remove = (chip) => {
    const name = chip.querySelector("[data-name]").textContent;
    chip.remove();
    say(note.dataset.textRemoved, name);
    search.focus();
  };
  const step = (by) => {
    const items = [...list.children];
    activate(items.at((items.indexOf(active) + by + (active || by > 0 ? 0 : 1) + items.length) % items.length));
  };
  const keys = {
    ArrowDown: () => (isOpen() ? step(1) : look()),
    ArrowUp: () => isOpen() && step(-1),
    Enter: () => active && choose(active),
    Escape: () => isOpen() && close(),
  };

  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(look, WAIT_MS);
  });
  search.addEventListener("focus", () => search.matches(":focus-visible") && look());
  search.addEventListener("click", () => isOpen() || look());
  search.addEventListener("blur", close);
  search.addEventListener("keydown", (event) => {
    const last = root.querySelector("[data-people] > :last-child");
    if (event.key === "Backspace" && !search.value && last) remove(last);
    const act = keys[event.key];
    if (!act || (event.key === "Escape" && !isOpen())) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  });
  found.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps the focus
  found.addEventListener("click", (event) => {
    const item = event.target.closest("[role=option]");
    if (item) choose(item);
  });
  root.addEventListener("click", (event) => {
    const chip = event.target.closest("[data-remove-person]")?.closest(".chip");
    if (chip) remove(chip);
  });
  for (const name of ["scroll", "resize"]) {
    addEventListener(name, () => isOpen() && place(), { capture: true, passive: true });
  }
}

function option(person, listId) {
  const item = document.createElement("div");
  item.id = `${listId}-${person.id}`;
  item.className = "menu__item sharing__person";
  item.setAttribute("role", "option");
  item.setAttribute("aria-selected", "false");
  item.dataset.id = person.id;
  item.dataset.name = person.name;
  const email = document.createElement("span");
  email.className = "muted truncate";
  email.textContent = person.email;
  item.append(person.name, email);
  return item;
}

function add(root, id, name) {
  const chip = root.querySelector("[data-person-template]").content.firstElementChild.cloneNode(true);
  chip.querySelector("[data-name]").textContent = name;
  chip.querySelector("input").value = id;
  const cross = chip.querySelector("svg");
  cross.setAttribute("aria-label", cross.getAttribute("aria-label").replace("{name}", name));
  root.querySelector("[data-people]").append(chip);
}
