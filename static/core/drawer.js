// Rail and list as one drawer on narrow screens: opened by [data-drawer], closed by Escape, the scrim or a choice.
const nav = document.getElementById("nav");
const body = document.querySelector(".body");
const button = document.querySelector("[data-drawer]");
const narrow = matchMedia("(width < 900px)");
const scrim = document.createElement("div");
scrim.className = "scrim";

function isOpen() {
  return nav.hasAttribute("data-open");
}

function open() {
  nav.setAttribute("data-open", "");
  button.setAttribute("aria-expanded", "true");
  body.inert = true;
  document.body.append(scrim);
  (nav.querySelector("[aria-current]") ?? nav.querySelector("a")).focus();
}

function close() {
  if (!isOpen()) return;
  nav.removeAttribute("data-open");
  button.setAttribute("aria-expanded", "false");
  body.inert = false;
  scrim.remove();
  button.focus();
}

button?.addEventListener("click", open);
scrim.addEventListener("click", close);
nav?.addEventListener("click", (event) => event.target.closest("a[href]") && close());
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && isOpen() && !document.querySelector("dialog:modal")) close();
});
narrow.addEventListener("change", close);
