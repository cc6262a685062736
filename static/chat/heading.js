// What the page says about its conversation outside the messages: address, title, menu. Also changes to it: rename, archive, delete.
import { confirm } from "../core/confirm.js";
import { send } from "../core/http.js";
import { toast } from "../core/toast.js";
import { markCurrent, refreshList, removeRow, renameRow } from "./list.js";
import { chat, reason, text, url } from "./page.js";

const title = document.querySelector("[data-title]");
const menu = document.querySelector("[data-own-menu]");
const payer = chat.querySelector(".composer__payer");
const renameDialog = document.getElementById("rename");
const tagsDialog = document.getElementById("cost-tags");

function showTitle(words) {
  document.title = document.title.replace(title.textContent, () => words);
  title.textContent = words;
}

/** A new conversation got its address and name; in an old one the list only moves. */
export function showAccepted({ conversation, conversation_url: address, title: words }) {
  if (chat.dataset.conversation !== conversation) {
    chat.dataset.conversation = conversation;
    history.replaceState(null, "", address);
    showTitle(words);
    menu.hidden = false;
    for (const link of menu.querySelectorAll("[data-export]")) link.href = `${address}export.${link.dataset.export}`;
    settlePayer();
  }
  refreshList();
}

// Who pays is fixed with the first question.
function settlePayer() {
  const select = payer.querySelector("select");
  if (!select) return;
  const name = document.createElement("span");
  name.className = "truncate";
  name.textContent = select.selectedOptions[0].textContent;
  select.replaceWith(name);
}

async function rename(id, before) {
  const field = renameDialog.querySelector("input");
  field.value = before;
  renameDialog.returnValue = "";
  renameDialog.showModal();
  field.select();
  await new Promise((resolve) => renameDialog.addEventListener("close", resolve, { once: true }));
  const words = field.value.trim();
  if (renameDialog.returnValue !== "yes" || !words || words === before) return;
  await send(url("update", id), { body: new URLSearchParams({ title: words }) });
  renameRow(id, words);
  if (id === chat.dataset.conversation) showTitle(words);
  toast(text("renamed"), { kind: "good" });
}

async function archive(id, isArchived) {
  await send(url("update", id), { body: new URLSearchParams({ is_archived: isArchived ? "1" : "0" }) });
  removeRow(id);
  if (id === chat.dataset.conversation) {
    menu.querySelector("[data-conversation-action=archive]").hidden = isArchived;
    menu.querySelector("[data-conversation-action=restore]").hidden = !isArchived;
  }
  toast(text(isArchived ? "archived" : "restored"), { kind: "good" });
}

// What may be set is asked each time: it depends on the department and on what the person is in it.
async function tag(id) {
  const list = tagsDialog.querySelector("[data-cost-tags]");
  const html = await (await send(url("tags", id), { method: "GET", headers: { Accept: "text/html" } })).text();
  list.replaceChildren(...new DOMParser().parseFromString(html, "text/html").body.children);
  tagsDialog.querySelector("[value=yes]").hidden = !list.querySelector("input");
  tagsDialog.returnValue = "";
  tagsDialog.showModal();
  await new Promise((resolve) => tagsDialog.addEventListener("close", resolve, { once: true }));
  if (tagsDialog.returnValue !== "yes") return;
  await send(url("tags", id), { body: new URLSearchParams(new FormData(tagsDialog.querySelector("form"))) });
  toast(text("tagged"), { kind: "good" });
}

async function remove(id, words) {
  if (!(await confirm(text("delete", words), { label: text("deleteLabel") }))) return;
  await send(url("delete", id));
  removeRow(id);
  if (id === chat.dataset.conversation) location.assign(url("new"));
}

/**
 * @param {string} action rename, archive, restore, tags or delete
 * @param {string} id
 * @param {string} words the conversation's title
 */
export async function change(action, id, words) {
  const actions = {
    rename: () => rename(id, words),
    archive: () => archive(id, true),
    restore: () => archive(id, false),
    delete: () => remove(id, words),
    tags: () => tag(id),
  };
  try {
    await actions[action]();
  } catch (error) {
    toast(reason(error), { kind: "bad" });
  }
}

menu.addEventListener("click", (event) => {
  const action = event.target.closest("[data-conversation-action]")?.dataset.conversationAction;
  if (action) change(action, chat.dataset.conversation, title.textContent);
});

markCurrent();
