// The choice of readers: the fields that a kind of sharing needs, and the search for colleagues.
import { getJSON } from "../core/http.js";

const WAIT_MS = 150;

/** @param {HTMLElement} root an element with data-sharing */
export function start(root) {
  const kind = root.querySelector("[name=visibility]");
  const parts = [...root.querySelectorAll("[data-for]")];
  const adapt = () => {
    for (const part of parts) {
      part.hidden = part.dataset.for !== kind.value;
      for (const field of part.querySelectorAll("select, input")) field.disabled = part.hidden;
    }
  };
  kind.addEventListener("change", adapt);
  adapt();
  startPeople(root);
}

function startPeople(root) {
  const search = root.querySelector("[data-people-search]");
  const found = root.querySelector("[role=listbox]");
  let timer = 0;
  let newest = 0;

  const close = () => {
    found.hidden = true;
    search.setAttribute("aria-expanded", "false");
  };
  const look = async () => {
    const number = ++newest;
    const { people } = await getJSON(`${root.dataset.peopleUrl}?q=${encodeURIComponent(search.value)}`);
    if (number !== newest) return;
    const taken = new Set([...root.querySelectorAll("[name=people]")].map((input) => input.value));
    found.replaceChildren(...people.filter((person) => !taken.has(person.id)).map(option));
    found.hidden = !found.childElementCount;
    search.setAttribute("aria-expanded", String(!found.hidden));
  };
  search.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(look, WAIT_MS);
  });
  search.addEventListener("focus", look);
  search.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") found.querySelector("[role=option]")?.focus();
    else if (event.key === "Escape" && !found.hidden) close();
    else if (event.key === "Enter") found.querySelector("[role=option]")?.click();
    else return;
    event.preventDefault();
  });
  found.addEventListener("keydown", (event) => {
    const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    if (event.key === "Escape") close();
    if (!step && event.key !== "Escape") return;
    event.preventDefault();
    (document.activeElement[step] ?? search).focus();
  });
  found.addEventListener("click", (event) => {
    const chosen = event.target.closest("[role=option]");
    if (!chosen) return;
    add(root, chosen.dataset.id, chosen.dataset.name);
    search.value = "";
    close();
    search.focus();
  });
  root.addEventListener("focusout", (event) => {
    if (!root.contains(event.relatedTarget)) close();
  });
  root.addEventListener("click", (event) => {
    event.target.closest("[data-remove-person]")?.closest(".chip").remove();
  });
}

function option(person) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "list__item";
  button.setAttribute("role", "option");
  button.setAttribute("aria-selected", "false");
  button.dataset.id = person.id;
  button.dataset.name = person.name;
  const email = document.createElement("span");
  email.className = "muted small";
  email.textContent = person.email;
  button.append(person.name, email);
  return button;
}

function add(root, id, name) {
  const chip = root.querySelector("[data-person-template]").content.firstElementChild.cloneNode(true);
  chip.querySelector("[data-name]").textContent = name;
  chip.querySelector("input").value = id;
  root.querySelector("[data-people]").append(chip);
}
