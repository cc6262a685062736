// One tooltip for every [data-tip]: its text and, with data-hotkey, the key. Shown on hover and on keyboard focus.
import { keyLabel } from "./hotkeys.js";

const DELAY_MS = 400;
const GAP_PX = 6;
const tip = document.createElement("div");
tip.className = "tooltip";
tip.popover = "manual";
tip.setAttribute("aria-hidden", "true"); // the element's own name says the same
document.body.append(tip);

let timer = 0;
let shownFor = null;

function show(element) {
  if (!element.isConnected || element.getAttribute("aria-expanded") === "true") return;
  tip.textContent = element.dataset.tip;
  if (element.dataset.hotkey) {
    const kbd = document.createElement("kbd");
    kbd.textContent = keyLabel(element.dataset.hotkey);
    tip.append(kbd);
  }
  tip.showPopover();
  shownFor = element;
  const anchor = element.getBoundingClientRect();
  const own = tip.getBoundingClientRect();
  const left = anchor.left + anchor.width / 2 - own.width / 2;
  const above = anchor.top - own.height - GAP_PX;
  tip.style.left = `${Math.max(GAP_PX, Math.min(left, innerWidth - own.width - GAP_PX))}px`;
  tip.style.top = `${above > GAP_PX ? above : anchor.bottom + GAP_PX}px`;
}

function hide() {
  clearTimeout(timer);
  if (shownFor) tip.hidePopover();
  shownFor = null;
}

document.addEventListener("pointerover", (event) => {
  if (event.pointerType === "touch") return;
  const element = event.target.closest?.("[data-tip]");
  if (element === shownFor) return;
  hide();
  if (element) timer = setTimeout(show, DELAY_MS, element);
});
document.addEventListener("focusin", (event) => {
  hide();
  if (event.target.matches("[data-tip]:focus-visible")) show(event.target);
});
for (const name of ["focusout", "pointerdown", "scroll", "keydown"]) {
  document.addEventListener(name, hide, { capture: true, passive: true });
}
