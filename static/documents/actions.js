// What is done to one document from a menu: read again, try again, delete.
import { confirm } from "../core/confirm.js";
import { send } from "../core/http.js";
import { toast } from "../core/toast.js";
import { show, watch } from "./progress.js";

/**
 * @param {(id: string, url: string) => void} deleted called after a deletion, with the list's address
 * @param {() => void} [begun] called when a run has been asked for
 */
export function listen(deleted, begun) {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-post], [data-delete]");
    if (!button) return;
    button.closest("details.menu")?.querySelector("summary").focus();
    const id = button.closest("[data-document]").dataset.document;
    try {
      if (button.dataset.delete) await remove(button, id, deleted);
      else await begin(button, id, begun);
    } catch (error) {
      toast(error.message, { kind: "bad" });
    }
  });
}

async function begin(button, id, begun) {
  button.disabled = true;
  try {
    show(await (await send(button.dataset.post)).json());
    watch([id]);
    begun?.();
  } finally {
    button.disabled = false;
  }
}

async function remove(button, id, deleted) {
  if (!(await confirm(button.dataset.question, { label: button.dataset.label }))) return;
  const { url } = await (await send(button.dataset.delete)).json();
  deleted(id, url);
}
