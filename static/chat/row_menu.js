// The one menu of the list column, opened at the row it is for.
import { change } from "./heading.js";
import { isArchive } from "./list.js";

const menu = document.getElementById("conversation-menu");
const list = document.querySelector("[data-conversation-list]");
let opener = null;

function open(button) {
  opener = button;
  menu.querySelector("[data-conversation-action=archive]").hidden = isArchive();
  menu.querySelector("[data-conversation-action=restore]").hidden = !isArchive();
  menu.showPopover();
  const anchor = button.getBoundingClientRect();
  const own = menu.getBoundingClientRect();
  const below = anchor.bottom + own.height < innerHeight;
  menu.style.left = `${Math.max(0, Math.min(anchor.left, innerWidth - own.width))}px`;
  menu.style.top = `${below ? anchor.bottom : anchor.top - own.height}px`;
  items()[0].focus();
}

function items() {
  return [...menu.querySelectorAll(".menu__item:not([hidden])")];
}

list.addEventListener("click", (event) => {
  const button = event.target.closest("[data-conversation-menu]");
  if (button) open(button);
});

menu.addEventListener("click", (event) => {
  const action = event.target.closest("[data-conversation-action]")?.dataset.conversationAction;
  if (!action) return;
  menu.hidePopover();
  const link = opener.closest("li").querySelector("[data-conversation]");
  change(action, link.dataset.conversation, link.title);
});

menu.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const all = items();
  all[(all.indexOf(document.activeElement) + step + all.length) % all.length].focus();
});
