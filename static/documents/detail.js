// The page of one document: scroll to the passage, more pages, sharing, and live progress.
import { send } from "../core/http.js";
import { toast } from "../core/toast.js";
import { listen } from "./actions.js";
import { start as startProgress, watch } from "./progress.js";
import { isComplete, start as startSharing } from "./sharing.js";

const page = document.getElementById("document");
const pages = document.getElementById("document-pages");
const more = document.getElementById("document-more");
const dialog = document.getElementById("document-edit");
const form = document.getElementById("document-form");
const passage = document.getElementById("passage");

// On a narrow screen the text comes first: its facts are folded.
document.getElementById("document-facts").open = matchMedia("(width >= 900px)").matches;

if (passage) {
  passage.scrollIntoView({ block: "center" });
  passage.focus({ preventScroll: true });
}

async function loadMore() {
  if (more.disabled) return;
  more.disabled = true;
  const query = new URLSearchParams({ from: more.dataset.next, version: page.dataset.version });
  try {
    const response = await send(`${page.dataset.pagesUrl}?${query}`, { method: "GET", headers: { Accept: "text/html" } });
    pages.insertAdjacentHTML("beforeend", await response.text());
    more.dataset.next = response.headers.get("X-Next-Page") ?? "";
    if (!more.dataset.next) return more.remove();
    more.disabled = false;
    watchEnd(); // told once when it begins to watch, so short pages fill the window, too
  } catch (error) {
    more.disabled = false;
    toast(error.message, { kind: "bad" });
  }
}

const nearEnd = new IntersectionObserver((entries) => {
  if (entries.some((entry) => entry.isIntersecting)) loadMore();
}, { rootMargin: "800px" });

function watchEnd() {
  nearEnd.unobserve(more);
  nearEnd.observe(more);
}

if (more) {
  more.addEventListener("click", loadMore);
  watchEnd();
}

for (const root of document.querySelectorAll("[data-sharing]")) startSharing(root);
if (dialog && new URLSearchParams(location.search).has("edit")) {
  history.replaceState(null, "", location.pathname);
  dialog.showModal();
}

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const problem = form.querySelector("[data-form-error]");
  const button = form.querySelector("[type=submit]");
  problem.textContent = "";
  if (!isComplete(form)) return;
  button.disabled = true;
  try {
    await send(form.action, { body: new FormData(form) });
    location.reload();
  } catch (error) {
    button.disabled = false;
    problem.textContent = error.message;
  }
});

// Its text is another now; what is being typed into the dialog is not thrown away for it.
function renew() {
  if (dialog?.open) dialog.addEventListener("close", () => location.reload(), { once: true });
  else location.reload();
}

listen((_id, url) => location.assign(url), () => pages ?? location.reload());
startProgress(page.dataset.eventsUrl, renew);
if (["WAITING", "READING"].includes(page.dataset.status)) watch([page.dataset.document]);
