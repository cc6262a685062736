// The page of one document: scroll to the passage, more pages, sharing, and live progress.
import { send } from "../core/http.js";
import { toast } from "../core/toast.js";
import { listen } from "./actions.js";
import { watch } from "./progress.js";
import { start as startSharing } from "./sharing.js";

const page = document.getElementById("document");
const pages = document.getElementById("document-pages");
const more = document.getElementById("document-more");
const dialog = document.getElementById("document-edit");

const passage = document.getElementById("passage");
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
    if (more.dataset.next) more.disabled = false;
    else more.remove();
  } catch (error) {
    more.disabled = false;
    toast(error.message, { kind: "bad" });
  }
}

if (more) {
  more.addEventListener("click", loadMore);
  new IntersectionObserver((entries) => {
    if (entries.some((entry) => entry.isIntersecting)) loadMore();
  }, { rootMargin: "800px" }).observe(more);
}

for (const root of document.querySelectorAll("[data-sharing]")) startSharing(root);
if (dialog && new URLSearchParams(location.search).has("edit")) dialog.showModal();

document.getElementById("document-form")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target;
  const problem = form.querySelector("[data-form-error]");
  try {
    await send(form.action, { body: new FormData(form) });
    location.assign(location.pathname);
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
  }
});

listen((_id, url) => location.assign(url));
const isUnfinished = ["WAITING", "READING"].includes(page.dataset.status);
watch(isUnfinished ? [page.dataset.document] : [], { url: page.dataset.eventsUrl, finished: () => location.reload() });
