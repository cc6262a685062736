// Uploading: many files, one request each, two at a time, with the progress of the bytes.

const AT_ONCE = 2;

/**
 * @param {HTMLFormElement} form the upload form with its settings
 * @param {(document: {id: string, url: string, name: string, status: string}) => void} uploaded
 */
export function start(form, uploaded) {
  const queue = form.querySelector("#upload-queue");
  const input = form.querySelector("#upload-files");
  const waiting = [];
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
    for (const file of files) {
      const item = newItem(form, file);
      queue.append(item.element);
      queue.hidden = false;
      if (file.size > Number(form.dataset.maxBytes)) refuse(item, form.dataset.textTooLarge);
      else waiting.push(item);
    }
    next();
  };
  input.addEventListener("change", () => {
    add(input.files);
    input.value = "";
  });
  queue.addEventListener("click", (event) => {
    event.target.closest("[data-dismiss-upload]")?.closest("li").remove();
    queue.hidden = !queue.childElementCount;
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
    request.addEventListener("load", () => {
      const answer = request.response;
      if (request.status !== 201) {
        refuse(item, answer?.error?.message ?? form.dataset.textLost);
      } else {
        bar.value = 100;
        state.textContent = form.dataset.textDone;
        uploaded(answer);
        setTimeout(() => item.element.querySelector("[data-dismiss-upload]").click(), 4000);
      }
      resolve();
    });
    request.addEventListener("error", () => {
      refuse(item, form.dataset.textLost);
      resolve();
    });
    request.send(item.body);
  });
}

function refuse(item, reason) {
  item.element.dataset.refused = "";
  item.element.querySelector(".upload__state").textContent = reason;
  item.element.querySelector("[data-dismiss-upload]").hidden = false;
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
    add(event.dataTransfer.files);
  });
}
