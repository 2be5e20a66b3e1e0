// Markdown of agents as HTML: a short list of elements, links to http(s) only, no pictures, no raw HTML.
import { html, useMemo } from "./lib.js";
import { Marked } from "../vendor/marked.js";
import DOMPurify from "../vendor/dompurify.js";
import { strip } from "./text.js";

const escape = (text) =>
  text.replace(/[&<>"']/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" })[c]);

const marked = new Marked({
  gfm: true,
  async: false,
  renderer: {
    html: ({ text }) => escape(text),
    image: ({ text, href }) => `<span class="md-image">[${escape(text || "picture")}: ${escape(href ?? "")}]</span>`,
    link({ href, tokens }) {
      const inner = this.parser.parseInline(tokens);
      return /^https?:\/\//i.test(href) ? `<a href="${escape(href)}">${inner}</a>` : `${inner} <code>${escape(href)}</code>`;
    },
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

const PURE = {
  ALLOWED_TAGS:
    "a p br hr em strong del code pre blockquote ul ol li h1 h2 h3 h4 h5 h6 table thead tbody tr th td span".split(" "),
  ALLOWED_ATTR: ["href", "align", "start", "class", "rel", "target"],
  ALLOWED_URI_REGEXP: /^https?:\/\//i,
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
};

DOMPurify.addHook("afterSanitizeAttributes", (node) => {
  if (node.tagName === "A") {
    node.setAttribute("rel", "noopener noreferrer nofollow");
    node.setAttribute("target", "_blank");
  }
  // Long lines scroll, by keyboard too.
  if (node.tagName === "PRE") node.setAttribute("tabindex", "0");
  const name = node.getAttribute?.("class");
  if (name && name !== "md-image") node.removeAttribute("class");
});

export function toHtml(text) {
  const clean = strip(text);
  try {
    return DOMPurify.sanitize(marked.parse(clean), PURE);
  } catch {
    return `<p>${escape(clean)}</p>`; // nested beyond what the parser takes
  }
}

export function Markdown({ text }) {
  const made = useMemo(() => ({ __html: toHtml(text) }), [text]);
  return html`<div class="md" dir="auto" dangerouslySetInnerHTML=${made}></div>`;
}
