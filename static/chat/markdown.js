// Shows Markdown while it is being written: finished blocks are made once, only the last one is made again.
import DOMPurify from "../vendor/dompurify@3.4.18/purify.js";
import { Marked } from "../vendor/marked@18.2.1/marked.js";
import { part } from "./page.js";

const ALLOWED = {
  ALLOWED_TAGS: [
    "a", "blockquote", "br", "code", "del", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "strong",
    "table", "tbody", "td", "th", "thead", "tr", "ul",
  ],
  ALLOWED_ATTR: ["class", "href", "start", "align"],
};

/** One answer growing in one element. */
export class LiveMarkdown {
  /** @param {HTMLElement} element */
  constructor(element) {
    this.element = element;
    this.sources = new Map();
    this.marked = new Marked({ gfm: true, breaks: true });
    this.marked.use({ extensions: [this.citation()], renderer: { html: (token) => escaped(token.text) } });
    this.restart();
  }

  restart() {
    this.written = "";
    this.settled = 0; // how much of `written` is in finished blocks
    this.tail = []; // the nodes of the block still growing
    this.element.replaceChildren();
  }

  /** @param {{number: number, url: string, document_name: string}[]} sources */
  cite(sources) {
    for (const source of sources) this.sources.set(source.number, source);
  }

  /** @param {string} words */
  add(words) {
    this.written += words;
  }

  /**
   * Draws what came since the last call.
   * @returns {string} the words of the blocks that became final
   */
  draw() {
    const tokens = this.marked.lexer(this.written.slice(this.settled));
    const last = tokens.findLastIndex((token) => token.type !== "space");
    const done = tokens.slice(0, Math.max(last, 0));
    const blocks = this.nodes(done);
    const words = blocks.map((node) => node.textContent).join(" ");
    this.settled += done.reduce((length, token) => length + token.raw.length, 0);
    this.tail.forEach((node) => node.remove());
    this.tail = this.nodes(tokens.slice(done.length));
    this.element.append(...blocks, ...this.tail);
    return words;
  }

  /** The words that no call of `draw` has reported yet. */
  rest() {
    return this.tail.map((node) => node.textContent).join(" ");
  }

  nodes(tokens) {
    if (tokens.length === 0) return [];
    const html = this.marked.parser(tokens);
    const fragment = DOMPurify.sanitize(html, { ...ALLOWED, RETURN_DOM_FRAGMENT: true });
    fragment.querySelectorAll("pre").forEach((pre) => pre.replaceWith(code(pre)));
    fragment.querySelectorAll("a").forEach((link) => link.setAttribute("rel", "noopener noreferrer"));
    return [...fragment.childNodes];
  }

  // [1] becomes a chip once it is known what source 1 is.
  citation() {
    return {
      name: "citation",
      level: "inline",
      start: (source) => source.match(/\[\d/)?.index,
      tokenizer: (source) => {
        const found = /^\[(\d{1,3})\](?![[(])/.exec(source);
        if (!found || !this.sources.has(Number(found[1]))) return undefined;
        return { type: "citation", raw: found[0], number: Number(found[1]) };
      },
      renderer: (token) => `<a class="cite" href="${encodeURI(this.sources.get(token.number).url)}">${token.number}</a>`,
    };
  }
}

// HTML in an answer is shown as it is written, as the finished answer does.
function escaped(html) {
  const element = document.createElement("i");
  element.textContent = html;
  return element.innerHTML;
}

/**
 * The same frame around source code as the finished answer has, so that nothing jumps when it comes.
 * @param {HTMLElement} pre
 */
function code(pre) {
  const block = part("code");
  const inner = pre.querySelector("code") ?? pre;
  block.querySelector("span").textContent = /language-(\S+)/.exec(inner.className)?.[1] ?? "";
  block.querySelector("code").textContent = inner.textContent;
  return block;
}
