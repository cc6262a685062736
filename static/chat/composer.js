// The composer: the field with its draft, Send turning into Stop, and what is said above it. It posts nothing itself.
import { send } from "../core/http.js";
import { toast } from "../core/toast.js";
import { dropDraft, keepDraft, newKey, readDraft } from "./draft.js";
import { chat, reason, text, url } from "./page.js";

const form = chat.querySelector("[data-composer]");
const field = form.elements.content;
const sendButton = form.querySelector("[data-send]");
const stopButton = form.querySelector("[data-stop]");
const refused = chat.querySelector("[data-refused]");
const offline = chat.querySelector("[data-offline]");
const growsByItself = CSS.supports("field-sizing", "content");

/** @type {import("./reply.js").Reply | null} the reply being written now */
let running = null;
let key = newKey();

/** The words and choices of the composer, as the server takes them. */
export function composed() {
  const data = new URLSearchParams(new FormData(form));
  data.set("content", field.value.trim());
  data.set("idempotency_key", key);
  if (data.get("sources") !== "CHOSEN") data.delete("documents");
  if (chat.dataset.conversation) data.set("conversation", chat.dataset.conversation);
  return data;
}

export function isBusy() {
  return running !== null;
}

/** @param {import("./reply.js").Reply | null} reply */
export function setRunning(reply) {
  const hadFocus = document.activeElement === sendButton || document.activeElement === stopButton;
  running = reply;
  chat.toggleAttribute("data-busy", running !== null);
  sendButton.hidden = running !== null;
  stopButton.hidden = running === null;
  stopButton.disabled = false;
  if (hadFocus) field.focus();
}

/** Empties the field: the question is on its way, and still in the draft until it is accepted. */
export function clear() {
  field.value = "";
  refused.hidden = true;
  grow();
}

/** The question is the server's now: its draft goes, and the next one gets a key of its own. */
export function accepted() {
  dropDraft();
  key = newKey();
}

/** Keeps what was typed while the question was on its way, under the conversation it now has. */
export function keepTyped() {
  keepDraft(field.value, key);
}

/**
 * Puts a question back that was not accepted, with the reason. The same words keep the key they were posted with.
 * @param {URLSearchParams} data what was posted
 * @param {string} why
 */
export function giveBack(data, why) {
  const content = data.get("content");
  if (field.value) key = newKey();
  else key = data.get("idempotency_key");
  field.value = field.value ? `${content}\n\n${field.value}` : content;
  keepTyped();
  grow();
  refuse(why);
  field.focus();
}

/** @param {string} why */
export function refuse(why) {
  refused.querySelector("div").textContent = why;
  refused.hidden = false;
}

/** @param {string} content */
export function fill(content) {
  field.value = content;
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.focus();
}

/** @param {(content: string) => void} post */
export function onAsk(post) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const content = field.value.trim();
    if (content && !isBusy()) post(content);
  });
}

async function stop() {
  if (!running?.id || stopButton.disabled) return;
  stopButton.disabled = true;
  running.stage(text("stopping"));
  try {
    await send(url("stop", running.id));
  } catch (error) {
    stopButton.disabled = false;
    toast(reason(error), { kind: "bad" });
  }
}

function grow() {
  if (growsByItself) return;
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}

field.addEventListener("input", () => {
  key = newKey();
  keepDraft(field.value, key);
  refused.hidden = true;
  grow();
});
field.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  form.requestSubmit();
});
stopButton.addEventListener("click", stop);

function showOffline() {
  offline.hidden = navigator.onLine;
}
addEventListener("online", showOffline);
addEventListener("offline", showOffline);
showOffline();

const draft = readDraft();
if (draft) {
  field.value = draft.content;
  key = draft.key;
  grow();
}
if (matchMedia("(pointer: fine)").matches) field.focus({ preventScroll: true });
