// Asks before something is done that cannot be undone: confirm("Delete …?") or <form data-confirm="Delete …?">.
const dialog = document.getElementById("confirm");
const action = dialog?.querySelector("[data-confirm-action]");
const usualAction = action?.textContent;

// Resolves to whether the person agreed. `label` names what will be done, on the button.
export function confirm(text, { label = usualAction } = {}) {
  dialog.querySelector("#confirm-text").textContent = text;
  action.textContent = label;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  const submitter = event.submitter;
  const text = submitter?.dataset.confirm ?? form.dataset.confirm;
  if (!text || form.dataset.confirmed) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  const label = submitter?.dataset.confirmLabel ?? form.dataset.confirmLabel;
  if (!(await confirm(text, label ? { label } : {}))) return;
  form.dataset.confirmed = "yes";
  form.requestSubmit(submitter);
  delete form.dataset.confirmed;
}, { capture: true });
