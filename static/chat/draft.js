// Keeps what is being typed, per conversation, across reloads; and with it the key under which it is posted once.
import { toast } from "../core/toast.js";
import { chat, text } from "./page.js";

let isRefused = false;

// Storage may be refused (private windows, policies): said once, and the page goes on without it.
function stored(use) {
  try {
    return use(localStorage);
  } catch (error) {
    if (!isRefused) toast(text("unstored"), { kind: "warn" });
    isRefused = true;
    console.info("Drafts are not kept:", error.message);
    return null;
  }
}

function name() {
  return `parley-draft:${chat.dataset.conversation || "new"}`;
}

/** @returns {{content: string, key: string} | null} */
export function readDraft() {
  return JSON.parse(stored((store) => store.getItem(name())) ?? "null");
}

/**
 * @param {string} content
 * @param {string} key the idempotency key, a new one whenever the words have changed
 */
export function keepDraft(content, key) {
  if (content) stored((store) => store.setItem(name(), JSON.stringify({ content, key })));
  else dropDraft();
}

export function dropDraft() {
  stored((store) => store.removeItem(name()));
}

// crypto.randomUUID exists on https and localhost only; a key from random bytes works everywhere.
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, "$1-$2-$3-$4-$5");
}
