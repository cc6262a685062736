// The conversation page: puts its parts together.
import "./actions.js";
import "./citations.js";
import { fill, onAsk } from "./composer.js";
import "./price.js";
import "./row_menu.js";
import { findPlace } from "./scroll.js";
import "./shortcuts.js";
import "./sources.js";
import { ask, joinRunning } from "./turns.js";
import { chat } from "./page.js";

onAsk(ask);
chat.addEventListener("click", (event) => {
  const example = event.target.closest("[data-example]");
  if (example) fill(example.textContent);
});
findPlace();
joinRunning();
