// Short messages in the corner.
const STAY_MS = 6000;
const region = document.getElementById("toasts");

// kind: "" | "good" | "warn" | "bad". Bad news stays until dismissed.
export function toast(text, { kind = "" } = {}) {
  const item = document.getElementById("toast-template").content.firstElementChild.cloneNode(true);
  item.querySelector(".toast__text").textContent = text;
  if (kind) item.classList.add(`toast--${kind}`);
  region.append(item);
  expire(item);
  return item;
}

function expire(item) {
  if (item.classList.contains("toast--bad")) return;
  let timer = setTimeout(() => item.remove(), STAY_MS);
  item.addEventListener("pointerenter", () => clearTimeout(timer));
  item.addEventListener("pointerleave", () => (timer = setTimeout(() => item.remove(), STAY_MS)));
}

region?.addEventListener("click", (event) => {
  if (event.target.closest("[data-dismiss]")) event.target.closest(".toast").remove();
});
region?.querySelectorAll(".toast").forEach(expire);
