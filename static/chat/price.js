// Under the composer: what the question is expected to cost, and what its budget has left. Asked while one types, seldom.
import { RequestError, send } from "../core/http.js";
import { composed } from "./composer.js";
import { chat, messages, url } from "./page.js";

const WAIT_MS = 400;
const LONGEST = 20000;

const form = chat.querySelector("[data-composer]");
const line = chat.querySelector("[data-price]");
let timer = 0;
let asking = new AbortController();

function question() {
  const data = composed();
  for (const name of ["idempotency_key", "documents"]) data.delete(name);
  data.set("content", data.get("content").slice(0, LONGEST));
  if (chat.dataset.conversation) data.set("parent", messages.lastElementChild?.dataset.message ?? "");
  return data;
}

function show({ price, budget, level }) {
  line.querySelector("[data-price-of]").textContent = price;
  line.querySelector("[data-price-budget]").textContent = budget;
  line.dataset.level = level;
}

async function ask() {
  asking.abort();
  asking = new AbortController();
  try {
    const response = await send(url("price"), { body: question(), signal: asking.signal });
    show(await response.json());
  } catch (error) {
    // Older than what is typed now; or not to be had: then nothing is claimed.
    if (error.name === "AbortError") return;
    if (!(error instanceof RequestError)) throw error;
    show({ price: "", budget: "", level: "" });
  }
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(ask, WAIT_MS);
}

form.addEventListener("input", soon);
form.addEventListener("change", soon);
// An answer has begun or ended, or other documents were chosen: the budget and the kind of question are others.
new MutationObserver(soon).observe(chat, { attributes: true, attributeFilter: ["data-busy", "data-conversation"] });
document.getElementById("sources")?.addEventListener("close", soon);
ask();
