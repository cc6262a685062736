// Uploading: many files, one request each, two at a time, with the progress of the bytes.
import { isComplete } from "./sharing.js";

const AT_ONCE = 2;
const STAY_MS = 4000;

/**
 * @param {HTMLFormElement} form the upload form with its settings
 * @param {(document: {id: string, url: string, name: string, status: string}) => void} uploaded
 */
export function start(form, uploaded) {
  const queue = form.querySelector("#upload-queue");
  const input = form.querySelector("#upload-files");
  const waiting = [];
  const items = new WeakMap();
  let running = 0;

  const next = () => {
    while (running < AT_ONCE && waiting.length) {
      running += 1;
      post(form, waiting.shift(), uploaded).finally(() => {
        running -= 1;
        next();
      });
    }
  };
  const add = (files) => {
    if (!isComplete(form.querySelector("[data-sharing]"))) return;
    for (const file of files) {
      const item = newItem(form, file);
      items.set(item.element, item);
      queue.append(item.element);
      queue.hidden = false;
      if (file.size > Number(form.dataset.maxBytes)) refuse(item, form.dataset.textTooLarge);
      else waiting.push(item);
    }
    next();
  };
  input.addEventListener("change", () => {
    add([...input.files]);
    input.value = "";
  });
  queue.addEventListener("click", (event) => {
    const element = event.target.closest("li");
    if (event.target.closest("[data-dismiss-upload]")) {
      element.remove();
      queue.hidden = !queue.childElementCount;
      input.focus();
    } else if (event.target.closest("[data-retry-upload]")) {
      reset(form, items.get(element));
      waiting.push(items.get(element));
      next();
    }
  });
  addEventListener("beforeunload", (event) => {
    if (running) event.preventDefault();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  dropAnywhere(add);
}

function newItem(form, file) {
  const element = form.querySelector("#upload-item").content.firstElementChild.cloneNode(true);
  element.querySelector(".upload__name").textContent = file.name;
  element.querySelector("progress").setAttribute("aria-label", file.name);
  element.querySelector(".upload__state").textContent = form.dataset.textWaiting;
  // The settings as they are now: a later change is for later files.
  const body = new FormData(form);
  body.set("file", file);
  return { element, body };
}

function post(form, item, uploaded) {
  const bar = item.element.querySelector("progress");
  const state = item.element.querySelector(".upload__state");
  state.textContent = form.dataset.textSending;
  return new Promise((resolve) => {
    const request = new XMLHttpRequest(); // fetch tells nothing of the bytes sent
    request.open("POST", form.action);
    request.setRequestHeader("X-CSRFToken", document.body.dataset.csrf);
    request.setRequestHeader("Accept", "application/json");
    request.responseType = "json";
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable) bar.value = (100 * event.loaded) / event.total;
    });
    request.upload.addEventListener("load", () => (state.textContent = form.dataset.textChecking));
    request.addEventListener("load", () => {
      if (request.status === 201) {
        finish(form, item);
        uploaded(request.response);
      } else {
        const reason = request.response?.error?.message;
        refuse(item, reason ?? form.dataset.textLost, { isWorthRetrying: !reason });
      }
      resolve();
    });
    request.addEventListener("error", () => {
      refuse(item, form.dataset.textLost, { isWorthRetrying: true });
      resolve();
    });
    request.send(item.body);
  });
}

// Its row in the list goes on telling: here it need not stay.
function finish(form, item) {
  item.element.querySelector("progress").value = 100;
  item.element.querySelector(".upload__state").textContent = form.dataset.textDone;
  setTimeout(() => {
    const queue = item.element.parentElement;
    item.element.remove();
    queue.hidden = !queue.childElementCount;
  }, STAY_MS);
}

function refuse(item, reason, { isWorthRetrying = false } = {}) {
  item.element.dataset.refused = "";
  item.element.querySelector(".upload__state").textContent = reason;
  item.element.querySelector("[data-retry-upload]").hidden = !isWorthRetrying;
  item.element.querySelector("[data-dismiss-upload]").hidden = false;
}

function reset(form, item) {
  delete item.element.dataset.refused;
  item.element.querySelector("progress").value = 0;
  item.element.querySelector(".upload__state").textContent = form.dataset.textWaiting;
  for (const button of item.element.querySelectorAll("button")) button.hidden = true;
}

// The whole page takes files; the veil is shown while some are over it.
function dropAnywhere(add) {
  const veil = document.getElementById("documents-drop");
  let depth = 0;
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragenter", (event) => {
    if (!hasFiles(event)) return;
    depth += 1;
    veil.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (hasFiles(event) && --depth <= 0) veil.hidden = true;
  });
  addEventListener("dragover", (event) => {
    if (hasFiles(event)) event.preventDefault();
  });
  addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    veil.hidden = true;
    add([...event.dataTransfer.files]);
  });
}
