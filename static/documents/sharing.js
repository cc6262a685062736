// The choice of readers: a kind of sharing, and only the fields it needs.
import { start as startPeople } from "./people.js";

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
  startPeople(root.querySelector("[data-for=PEOPLE]"), root.dataset.peopleUrl);
}

/**
 * Say whether the choice is whole; where nobody is named yet, say so at the field and go there.
 * @param {HTMLElement} root an element with data-sharing
 */
export function isComplete(root) {
  if (root.querySelector("[name=visibility]").value !== "PEOPLE" || root.querySelector("[name=people]")) return true;
  root.querySelector("[data-people-search]").focus();
  const note = root.querySelector("[data-people-note]");
  note.textContent = note.dataset.textNobody;
  note.dataset.bad = "";
  return false;
}
