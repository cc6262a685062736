// The sheet of keys: what the page's elements say of themselves, and the few keys no element carries.
import { hotkeyElements, keyLabel } from "../core/hotkeys.js";

const dialog = document.getElementById("shortcuts");
const sheet = dialog.querySelector("[data-shortcuts]");
const fixed = dialog.querySelector("[data-shortcuts-fixed]");

function entry(element) {
  const name = document.createElement("dt");
  name.textContent = element.dataset.tip || element.getAttribute("aria-label") || element.textContent.trim();
  const value = document.createElement("dd");
  const key = document.createElement("kbd");
  key.textContent = keyLabel(element.dataset.hotkey);
  value.append(key);
  return [name, value];
}

dialog.addEventListener("beforetoggle", (event) => {
  if (event.newState !== "open") return;
  sheet.replaceChildren(...hotkeyElements().flatMap(entry), fixed.content.cloneNode(true));
});
