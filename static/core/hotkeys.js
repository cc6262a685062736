// Keys for actions: an element with data-hotkey="mod+k" is clicked by it. `mod` is ⌘ on a Mac and Ctrl elsewhere.
// A key without Ctrl, Alt or ⌘ is left alone while a field has the focus, except Escape.
const isMac = /Mac|iPhone|iPad/.test(navigator.platform);

function parse(hotkey) {
  const parts = hotkey.toLowerCase().split("+");
  return { key: parts.pop(), mod: parts.includes("mod"), alt: parts.includes("alt"), shift: parts.includes("shift") };
}

// With Alt a Mac types another letter: the place of the key tells what was meant.
function pressed(event) {
  if (event.altKey && /^(Key|Digit)/.test(event.code)) return event.code.replace(/^(Key|Digit)/, "").toLowerCase();
  return event.key.toLowerCase();
}

function matches(event, hotkey) {
  const wanted = parse(hotkey);
  return pressed(event) === wanted.key
    && (isMac ? event.metaKey : event.ctrlKey) === wanted.mod
    && event.altKey === wanted.alt
    && event.shiftKey === wanted.shift;
}

function isTyping(target) {
  return target.closest?.("input:not([type=checkbox], [type=radio], [type=button]), textarea, select, [contenteditable]");
}

// How the key is written for people: ⌘K, Ctrl K, Alt N.
export function keyLabel(hotkey) {
  const names = isMac ? { mod: "⌘", alt: "⌥", shift: "⇧" } : { mod: "Ctrl", alt: "Alt", shift: "Shift" };
  const signs = { enter: "↵", escape: "Esc", arrowup: "↑", arrowdown: "↓" };
  const parts = hotkey.split("+").map((part) => names[part] ?? signs[part.toLowerCase()] ?? part.toUpperCase());
  return parts.join(isMac ? "" : " ");
}

function isUsable(element) {
  return !element.disabled && element.checkVisibility() && !element.closest("[inert]");
}

// The elements of the page which have a key and can be used now.
export function hotkeyElements() {
  return [...document.querySelectorAll("[data-hotkey]")].filter(isUsable);
}

for (const element of document.querySelectorAll("[data-key-label]")) {
  element.textContent = keyLabel(element.dataset.keyLabel);
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing) return;
  const modal = document.querySelector("dialog:modal");
  for (const element of document.querySelectorAll("[data-hotkey]")) {
    if (!matches(event, element.dataset.hotkey)) continue;
    if (!(event.ctrlKey || event.metaKey || event.altKey) && event.key !== "Escape" && isTyping(event.target)) continue;
    if (!isUsable(element) || (modal && !modal.contains(element))) continue;
    event.preventDefault();
    if (element.matches("input, textarea, select")) element.focus();
    else element.click();
    return;
  }
});
