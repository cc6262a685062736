// One turn: a question, an edited question or another answer is put on the page, sent, and followed to its end.
import { RequestError, send } from "../core/http.js";
import { toast } from "../core/toast.js";
import { accepted, clear, composed, giveBack, isBusy, keepTyped, refuse, setRunning } from "./composer.js";
import { newKey } from "./draft.js";
import { showAccepted } from "./heading.js";
import { messages, part, reason, text, url } from "./page.js";
import { Reply } from "./reply.js";
import { toEnd } from "./scroll.js";

/**
 * Takes a message and all after it off the page.
 * @param {HTMLElement | null} message
 * @returns {() => void} puts them back
 */
function cutFrom(message) {
  const all = [...messages.children];
  const removed = message ? all.slice(all.indexOf(message)) : [];
  removed.forEach((element) => element.remove());
  return () => messages.append(...removed);
}

function addQuestion(content) {
  const question = part("question");
  question.querySelector(".message__text").textContent = content;
  messages.append(question);
  return question;
}

/**
 * Sends a turn whose question (if it has a new one) is on the page already.
 * @returns {Promise<string>} empty, or why the server did not take it; the page is then as it was
 */
async function run({ address, data, question, undo, onTaken = showAccepted }) {
  const article = part("reply");
  messages.append(article);
  toEnd();
  let isTaken = false;
  const reply = new Reply(article, {
    onAccepted: (event) => {
      isTaken = true;
      if (question) replaceQuestion(question, event);
      onTaken(event);
    },
  });
  setRunning(reply);
  try {
    await reply.follow(await send(address, { body: data, headers: { Accept: "text/event-stream" } }));
    return "";
  } catch (error) {
    if (isTaken || !(error instanceof RequestError)) throw error;
    reply.article.remove();
    question?.remove();
    undo?.();
    return reason(error);
  } finally {
    setRunning(null);
  }
}

function replaceQuestion(question, { question: id, question_html: html }) {
  question.dataset.message = id;
  if (!html) return;
  const rendered = new DOMParser().parseFromString(html, "text/html").body.firstElementChild;
  question.replaceWith(rendered);
}

function refusesWhileBusy() {
  if (isBusy()) toast(text("busy"), { kind: "warn" });
  return isBusy();
}

/** @param {string} content the question in the composer */
export async function ask(content) {
  const data = composed();
  data.set("parent", messages.lastElementChild?.dataset.message ?? "");
  clear();
  const onTaken = (event) => {
    accepted();
    showAccepted(event);
    keepTyped();
  };
  const why = await run({ address: url("reply"), data, question: addQuestion(content), onTaken });
  if (why) giveBack(data, why);
}

/**
 * Asks an edited question: a new branch beside the old one.
 * @param {HTMLElement} old the question's message
 * @param {string} content
 */
export async function askInstead(old, content) {
  if (refusesWhileBusy()) return;
  const data = composed();
  data.set("content", content);
  data.set("idempotency_key", newKey());
  data.set("parent", old.previousElementSibling?.dataset.message ?? "");
  const undo = cutFrom(old);
  const why = await run({ address: url("reply"), data, question: addQuestion(content), undo });
  if (why) refuse(why);
}

/** @param {HTMLElement} old the reply that gets another version */
export async function answerAgain(old) {
  if (refusesWhileBusy()) return;
  const data = new URLSearchParams({ idempotency_key: newKey() });
  const address = url("regenerate", old.dataset.message);
  const why = await run({ address, data, undo: cutFrom(old) });
  if (why) refuse(why);
}

/** Joins the reply that was being written when the page was opened. */
export async function joinRunning() {
  const article = messages.querySelector("[data-state=PENDING], [data-state=RUNNING]");
  if (!article) return;
  const reply = new Reply(article);
  setRunning(reply);
  try {
    await reply.follow();
  } finally {
    setRunning(null);
  }
}
