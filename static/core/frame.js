// What every framed page needs: menus that close, dialogs that open, keys, tooltips, toasts, the drawer, the palette.
import "./confirm.js";
import "./drawer.js";
import "./hotkeys.js";
import "./palette.js";
import "./revived.js";
import "./toast.js";
import "./tooltip.js";

function closeMenus(except) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (menu !== except) menu.open = false;
  }
}

document.addEventListener("click", (event) => {
  const menu = event.target.closest("details.menu");
  closeMenus(event.target.closest(".menu__item") ? null : menu);

  const opener = event.target.closest("[data-opens]");
  if (opener) {
    const dialog = document.getElementById(opener.dataset.opens);
    if (!dialog.open) dialog.showModal();
  }
  if (event.target.closest("[data-close]")) event.target.closest("dialog").close();
  // A click on the backdrop lands on the dialog itself, outside its box.
  if (event.target.matches("dialog.dialog") && isOutside(event)) event.target.close();
});

function isOutside(event) {
  const box = event.target.getBoundingClientRect();
  return event.clientX < box.left || event.clientX > box.right || event.clientY < box.top || event.clientY > box.bottom;
}

// In a menu the arrows move, Escape closes and gives the focus back.
document.addEventListener("keydown", (event) => {
  const menu = event.target.closest("details.menu[open]");
  if (!menu) return;
  if (event.key === "Escape") {
    menu.open = false;
    menu.querySelector("summary").focus();
    event.preventDefault();
  }
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const items = [...menu.querySelectorAll(".menu__item")];
    const step = event.key === "ArrowDown" ? 1 : -1;
    const from = items.indexOf(document.activeElement);
    const next = from < 0 ? (step > 0 ? 0 : items.length - 1) : (from + step + items.length) % items.length;
    items[next]?.focus();
    event.preventDefault();
  }
});

// [data-copy="text"] or [data-copy-from="id"]: copies, and says so by its icon.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy], [data-copy-from]");
  if (!button) return;
  const text = button.dataset.copy ?? document.getElementById(button.dataset.copyFrom).innerText;
  await navigator.clipboard.writeText(text);
  const use = button.querySelector("use");
  if (!use) return;
  const before = use.getAttribute("href");
  use.setAttribute("href", `${document.documentElement.dataset.icons}#check`);
  setTimeout(() => use.setAttribute("href", before), 1500);
});
