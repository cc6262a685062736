/* The print button of a statement; without scripts the browser's own menu prints. */

const button = document.querySelector("[data-print]");
button.hidden = false;
button.addEventListener("click", () => window.print());
