// The actions of messages, by click and by key: one listener for all of them, however many there are.
import { send } from "../core/http.js";
import { toast } from "../core/toast.js";
import { icon } from "../core/icons.js";
import { announce, messages, part, reason, text, url } from "./page.js";
import { rememberPlace } from "./scroll.js";
import { answerAgain, askInstead } from "./turns.js";

const COPIED_MS = 1500;
const feedbackDialog = document.getElementById("feedback");

/** @param {HTMLElement} element @returns {HTMLElement | null} */
function messageOf(element) {
  return element.closest?.("[data-message]");
}

async function copy(button, words) {
  await navigator.clipboard.writeText(words);
  announce(text("copied"));
  const before = [...button.childNodes];
  button.replaceChildren(icon("check", { label: text("copied") }));
  setTimeout(() => button.replaceChildren(...before), COPIED_MS);
}

function markdownOf(message) {
  const source = message.querySelector("[data-markdown]")?.content ?? message.querySelector(".message__text");
  return source.textContent;
}

function edit(message) {
  const question = message.querySelector(".message__text");
  const actions = message.querySelector(".message__actions");
  const form = part("edit");
  const field = form.elements.content;
  const close = () => {
    form.replaceWith(question, actions);
    message.classList.remove("message--edited");
    message.focus({ preventScroll: true });
  };
  field.value = question.textContent;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const content = field.value.trim();
    close();
    if (content) askInstead(message, content);
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.target === field) {
      event.preventDefault();
      form.requestSubmit();
    }
    if (event.key === "Escape") {
      event.preventDefault();
      close();
    }
  });
  form.querySelector("[data-edit-cancel]").addEventListener("click", close);
  actions.remove();
  question.replaceWith(form);
  message.classList.add("message--edited");
  field.focus();
}

async function judge(message, isPositive, words = {}) {
  const value = isPositive === null ? "" : isPositive ? "1" : "0";
  try {
    await send(url("feedback", message.dataset.message), { body: new URLSearchParams({ is_positive: value, ...words }) });
  } catch (error) {
    toast(reason(error), { kind: "bad" });
    return false;
  }
  message.querySelector("[data-action=approve]").setAttribute("aria-pressed", String(isPositive === true));
  message.querySelector("[data-action=disapprove]").setAttribute("aria-pressed", String(isPositive === false));
  return true;
}

async function approve(message, button) {
  await judge(message, button.getAttribute("aria-pressed") === "true" ? null : true);
}

// The thumb counts at once; the reason is asked for after it.
async function disapprove(message, button) {
  if (button.getAttribute("aria-pressed") === "true") return judge(message, null);
  if (!(await judge(message, false))) return undefined;
  const form = feedbackDialog.querySelector("form");
  form.reset();
  feedbackDialog.returnValue = "";
  feedbackDialog.showModal();
  await new Promise((resolve) => feedbackDialog.addEventListener("close", resolve, { once: true }));
  if (feedbackDialog.returnValue !== "yes") return undefined;
  const words = Object.fromEntries(new FormData(form));
  if (await judge(message, false, words)) toast(text("thanks"), { kind: "good" });
  return undefined;
}

const ACTIONS = {
  copy: (message, button) => copy(button, markdownOf(message)),
  edit,
  regenerate: answerAgain,
  approve,
  disapprove,
};

messages.addEventListener("click", (event) => {
  const message = messageOf(event.target);
  const button = event.target.closest("[data-action]");
  if (button) ACTIONS[button.dataset.action](message, button);
  if (event.target.closest("[data-version]")) rememberPlace(message);
  const copyCode = event.target.closest("[data-copy-code]");
  if (copyCode) copy(copyCode, copyCode.closest(".code").querySelector("pre").textContent);
});

// Keys of the message that has the focus; `[data-action=…]` first, so that a key does what the button says.
const KEYS = {
  c: "[data-action=copy]",
  e: "[data-action=edit]",
  r: "[data-action=regenerate]",
  "+": "[data-action=approve]",
  "-": "[data-action=disapprove]",
  $: ".receipt > summary",
  "[": "[data-version=previous]",
  "]": "[data-version=next]",
};

messages.addEventListener("keydown", (event) => {
  const selector = KEYS[event.key.toLowerCase()];
  if (!selector || event.ctrlKey || event.metaKey || event.target.matches("textarea, input")) return;
  const button = messageOf(event.target)?.querySelector(selector);
  if (!button) return;
  event.preventDefault();
  button.click();
});

/** Moves the focus between messages: Alt ↑ from anywhere starts at the last one. */
document.addEventListener("keydown", (event) => {
  const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (!step || !event.altKey || event.ctrlKey || event.metaKey || document.querySelector("dialog:modal")) return;
  event.preventDefault();
  const all = [...messages.children];
  const from = all.indexOf(messageOf(event.target));
  const next = from < 0 ? all.at(step < 0 ? -1 : 0) : all[from + step];
  next?.focus({ preventScroll: true });
  next?.scrollIntoView({ block: "nearest" });
});
