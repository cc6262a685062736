// What every chat module shares: the page's elements, its addresses and its texts. No behaviour.
import { RequestError } from "../core/http.js";

const NIL = "00000000-0000-0000-0000-000000000000";

/** @type {HTMLElement} */
export const chat = document.getElementById("chat");
/** @type {HTMLElement} */
export const messages = chat.querySelector("[data-messages]");

/**
 * The address of an action, e.g. url("stop", messageId).
 * @param {string} name
 * @param {string} [id] a UUID, or the number of a citation
 */
export function url(name, id = "") {
  const pattern = chat.dataset[`${name}Url`];
  return pattern.includes(NIL) ? pattern.replace(NIL, id) : pattern.replace(/\/0\//, `/${id}/`);
}

/**
 * A text of the page; %s is replaced.
 * @param {string} name
 * @param {string | number} [value]
 */
export function text(name, value = "") {
  return document.getElementById("texts").dataset[name].replace("%s", String(value));
}

/**
 * A fresh copy of a `<template>`'s only element.
 * @param {string} name
 * @returns {HTMLElement}
 */
export function part(name) {
  return document.getElementById(`${name}-part`).content.firstElementChild.cloneNode(true);
}

/**
 * The sentence to show for a failed request; anything else is a bug and goes on.
 * @param {unknown} error
 */
export function reason(error) {
  if (!(error instanceof RequestError)) throw error;
  const told = error.body?.error;
  return told?.message ?? (typeof told === "string" ? told : text(error.status ? "broken" : "unreached"));
}

const announcer = chat.querySelector("[data-announcer]");

/**
 * Says something to those who listen instead of looking.
 * @param {string} words
 */
export function announce(words) {
  if (!words.trim()) return;
  const line = document.createElement("p");
  line.textContent = words;
  announcer.append(line);
  while (announcer.childElementCount > 5) announcer.firstElementChild.remove();
}
