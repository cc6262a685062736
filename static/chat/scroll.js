// Keeps the end of the conversation in view while it grows, unless the reader has scrolled away from it.
import { chat, messages } from "./page.js";

const NEAR_PX = 64;
const page = document.scrollingElement;
const latest = chat.querySelector("[data-latest]");
let isStuck = true;
let lastTop = 0;

function isAtEnd() {
  return page.scrollHeight - page.scrollTop - page.clientHeight < NEAR_PX;
}

export function toEnd() {
  isStuck = true;
  latest.hidden = true;
  page.scrollTop = page.scrollHeight;
}

// Growth alone moves the end away without anybody having scrolled: only a way up lets go.
addEventListener("scroll", () => {
  if (isAtEnd()) isStuck = true;
  else if (page.scrollTop < lastTop) isStuck = false;
  lastTop = page.scrollTop;
  latest.hidden = isStuck || isAtEnd();
}, { passive: true });

new ResizeObserver(() => {
  if (isStuck) page.scrollTop = page.scrollHeight;
  else latest.hidden = isAtEnd();
}).observe(messages);

latest.addEventListener("click", () => {
  toEnd();
  messages.lastElementChild?.focus({ preventScroll: true });
});

// A reader who comes back to a page finds their place; one who comes anew finds the end, or the message that was asked for.
const VERSION_KEY = "parley-version";

/** @param {HTMLElement} message whose other version is about to be opened */
export function rememberPlace(message) {
  sessionStorage.setItem(VERSION_KEY, [...messages.children].indexOf(message));
}

export function findPlace() {
  const index = sessionStorage.getItem(VERSION_KEY);
  sessionStorage.removeItem(VERSION_KEY);
  const message = index === null ? null : messages.children[Number(index)];
  if (message) {
    isStuck = false;
    message.focus({ preventScroll: true });
    message.scrollIntoView({ block: "center" });
  } else if (performance.getEntriesByType("navigation")[0]?.type !== "back_forward") {
    toEnd();
  }
}
