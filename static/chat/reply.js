// Follows one reply from its first event to its end: shows it growing, joins it again when the connection breaks.
import { RequestError, send } from "../core/http.js";
import { readEvents } from "./events.js";
import { LiveMarkdown } from "./markdown.js";
import { announce, part, reason, text, url } from "./page.js";

const RETRY_MS = [500, 1000, 2000, 4000, 8000];

/** The reply ended, with the server's own rendering of it. */
const ENDINGS = new Set(["done", "failed"]);

export class Reply {
  /**
   * @param {HTMLElement} article
   * @param {{onAccepted?: (data: any) => void}} [hooks]
   */
  constructor(article, { onAccepted } = {}) {
    this.article = article;
    this.onAccepted = onAccepted;
    this.live = new LiveMarkdown(article.querySelector("[data-live]"));
    this.frame = 0;
  }

  get id() {
    return this.article.dataset.message;
  }

  /**
   * Follows to the end.
   * @param {Response} [response] a stream already open; without one the reply is joined
   * @throws {RequestError} if the stream broke before the server had accepted the question
   */
  async follow(response) {
    for (let attempt = 0; ; attempt += 1) {
      try {
        const stream = response ?? await this.join();
        response = undefined;
        attempt = 0;
        if (await this.consume(stream)) return;
      } catch (error) {
        if (error instanceof RequestError && error.status > 0) return this.fail(reason(error));
        if (!(error instanceof RequestError || error instanceof TypeError)) throw error; // TypeError: a stream that broke
      }
      if (!this.id) throw new RequestError("The stream ended before the question was accepted.");
      this.stage(text("lost"));
      await reachable(RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)]);
    }
  }

  async join() {
    const stream = await send(url("stream", this.id), { method: "GET", headers: { Accept: "text/event-stream" } });
    this.live.restart();
    return stream;
  }

  /** @returns {Promise<boolean>} whether the reply has ended */
  async consume(stream) {
    for await (const { name, data } of readEvents(stream)) {
      if (name === "accepted") this.accept(data);
      if (name === "stage") this.stage(data.label);
      if (name === "sources") this.live.cite(data.sources);
      if (name === "token") this.write(data.text);
      if (ENDINGS.has(name)) {
        if (data.html) this.finish(data.html, name);
        else this.fail(data.message);
        return true;
      }
    }
    return false;
  }

  accept(data) {
    this.article.dataset.message = data.reply;
    this.onAccepted?.(data);
  }

  stage(label) {
    const line = this.article.querySelector("[data-stage]");
    line.hidden = false;
    line.querySelector("span").textContent = label;
    announce(label);
  }

  write(words) {
    this.live.add(words);
    this.frame ||= requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.frame = 0;
    this.article.querySelector("[data-stage]").hidden = true;
    announce(this.live.draw());
  }

  finish(html, name) {
    cancelAnimationFrame(this.frame);
    announce(this.live.rest());
    announce(text(name === "done" ? "finished" : "failed"));
    const finished = new DOMParser().parseFromString(html, "text/html").body.firstElementChild;
    const hadFocus = this.article.contains(document.activeElement);
    this.article.replaceWith(finished);
    this.article = finished;
    if (hadFocus) finished.focus({ preventScroll: true });
  }

  // The server gave no rendering of the end: what was streamed stays, with the reason under it.
  fail(why) {
    cancelAnimationFrame(this.frame);
    const notice = part("failure");
    notice.querySelector("div").textContent = why;
    this.article.querySelector("[data-stage]").replaceWith(notice);
    this.article.removeAttribute("aria-busy");
    this.article.dataset.state = "FAILED";
  }
}

/** @param {number} ms how long to wait; while the browser is offline, until it is back */
function reachable(ms) {
  return new Promise((resolve) => {
    if (navigator.onLine) setTimeout(resolve, ms);
    else addEventListener("online", resolve, { once: true });
  });
}
