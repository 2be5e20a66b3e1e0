// How each thing of a conversation is drawn.
import { html, memo, useState } from "../lib.js";
import { clock, duration, title } from "../format.js";
import { Markdown } from "../markdown.js";
import { Diff } from "../diff.js";
import { ansi, strip, visible } from "../text.js";
import { Icon } from "../ui.js";

const INPUT_KEYS = ["command", "filePath", "path", "pattern", "query", "url", "description", "title"];
const OUTPUT_LINES = 14;

/** What a tool call is about, in one line. */
export function inputLine(block) {
  const input = block.input ?? {};
  for (const name of INPUT_KEYS) if (typeof input[name] === "string" && input[name]) return strip(input[name]);
  return strip(block.title ?? "");
}

function Output({ text }) {
  const [whole, setWhole] = useState(false);
  const lines = text.replace(/\n+$/, "").split("\n");
  const cut = !whole && lines.length > OUTPUT_LINES + 4;
  const shown = cut ? lines.slice(-OUTPUT_LINES).join("\n") : lines.join("\n");
  return html`<div class="output">
    ${cut && html`<button type="button" class="output-more" onClick=${() => setWhole(true)}>${lines.length - OUTPUT_LINES} lines before this</button>`}
    <pre tabindex="0" dir="auto">${ansi(shown)}</pre>
  </div>`;
}

function Input({ block }) {
  const rest = Object.entries(block.input ?? {}).filter(([name, value]) => !(typeof value === "string" && strip(value) === inputLine(block)) && !["oldString", "newString", "content"].includes(name));
  const content = typeof block.input?.content === "string" && !block.edits?.some((edit) => edit.diff) ? block.input.content : "";
  if (!rest.length && !content) return null;
  return html`<dl class="tool-input">
    ${rest.map(([name, value]) => html`<div><dt>${strip(name)}</dt><dd dir="auto">${visible(typeof value === "string" ? strip(value) : JSON.stringify(value))}</dd></div>`)}
    ${content && html`<div><dt>content</dt><dd><pre tabindex="0">${strip(content)}</pre></dd></div>`}
  </dl>`;
}

function exit(block) {
  if (block.state === "running") return html`<span class="tool-state"><i class="breath" aria-hidden="true"></i>running</span>`;
  if (block.state === "unfinished") return html`<span class="tool-state faint">cut off</span>`;
  if (block.state === "error") return html`<span class="tool-state tool-bad">failed</span>`;
  if (block.exitCode) return html`<span class="tool-state tool-bad">exit ${block.exitCode}</span>`;
  const seconds = block.ended && block.time ? (Date.parse(block.ended) - Date.parse(block.time)) / 1000 : 0;
  return html`<span class="tool-state">${seconds >= 1 ? duration(seconds) : ""}</span>`;
}

function ToolBlock({ block, open, onToggle }) {
  const failed = block.state === "error" || block.exitCode;
  const edits = (block.edits ?? []).filter((edit) => edit.diff);
  const shell = block.tool === "bash" || block.tool === "shell";
  const icon = edits.length || block.tool === "write" || block.tool === "edit" ? "file" : shell ? "terminal" : block.tool === "grep" || block.tool === "glob" ? "search" : "tool";
  return html`<details class=${`tool ${failed ? "tool-failed" : ""}`} open=${open} onToggle=${(event) => onToggle(event.currentTarget.open)}>
    <summary>
      <${Icon} name=${icon} size=${15} />
      <span class="tool-name">${strip(block.tool ?? "tool")}</span>
      <span class=${`tool-what ${shell ? "mono" : ""}`}><bdi>${inputLine(block)}</bdi></span>
      ${edits.length > 0 && html`<span class="tool-size"><ins>+${edits.reduce((n, edit) => n + edit.additions, 0)}</ins> <del>−${edits.reduce((n, edit) => n + edit.deletions, 0)}</del></span>`}
      ${exit(block)}
    </summary>
    ${open && html`<div class="tool-body">
      ${shell && (inputLine(block).length > 100 || inputLine(block).includes("\n")) && html`<pre class="tool-command" tabindex="0">${strip(block.input?.command ?? "")}</pre>`}
      <${Input} block=${block} />
      ${edits.map((edit) => html`<div class="edit" key=${edit.seq}><p class="edit-path"><bdi>${visible(edit.path)}</bdi></p><${Diff} diff=${edit.diff} /></div>`)}
      ${block.error && html`<p class="tool-error" dir="auto">${strip(block.error)}</p>`}
      ${block.output && !edits.length ? html`<${Output} text=${block.output} />` : null}
      ${!block.output && !block.error && !edits.length && block.state === "completed" && html`<p class="faint">It gave nothing back.</p>`}
    </div>`}
  </details>`;
}

const NOTES = {
  claimed: (data) => ["branch", html`takes the work, on <b><bdi>${data.branch}</bdi></b>, start ${data.attempt}`],
  worktree: (data) => ["file", html`has a worktree${data.startCommit && data.startCommit !== data.baseCommit ? html`, going on from <code>${String(data.startCommit).slice(0, 10)}</code>` : html` at <code>${String(data.baseCommit ?? "").slice(0, 10)}</code>`}`],
  process: (data) => ["terminal", html`process ${data.pid} started`],
  session: (data) => ["link", data.resumed ? "goes on with its session after a restart" : "session opened"],
  "model-request": (data) => ["pulse", html`first asks the model <b><bdi>${strip(data.model ?? "")}</bdi></b>`],
  nudged: (data) => ["alert", data.why === "quiet" ? "was quiet for too long, and is asked to go on" : "had stopped without being done, and is asked to go on"],
  "done-called": (data) => ["check", html`says it is done${data.noChanges ? ", without changes" : ""}: <bdi>${strip(data.summary ?? "")}</bdi>`],
  pushed: (data) => ["up", html`pushed <code>${String(data.commit ?? "").slice(0, 10)}</code>; the remote was asked, and has it`],
  checkpoint: (data) => ["copy", html`work up to <code>${String(data.commit ?? "").slice(0, 10)}</code> is in the town's store${data.note ? html`: <bdi>${strip(data.note)}</bdi>` : ""}`],
  saved: (data) => ["copy", html`unfinished work is safe as <code>${String(data.commit ?? "").slice(0, 10)}</code>${data.onRemote ? ", on the remote too" : ", in the town"}`],
  status: (data) => ["pulse", html`<bdi>${strip(data.message ?? "")}</bdi>`],
  asked: (data) => ["alert", html`asked for ${strip(data.what ?? "")} <bdi>${strip(data.text ?? "")}</bdi>: ${strip(data.answer ?? "")}`],
};

const LOUD = new Set(["done-called", "pushed", "saved", "nudged"]);

function Note({ block }) {
  const made = NOTES[block.what]?.(block.data ?? {}) ?? ["pulse", html`${strip(block.what)} <span class="faint">${strip(JSON.stringify(block.data ?? {}))}</span>`];
  return html`<p class=${`note ${LOUD.has(block.what) ? "note-loud" : ""} note-${block.what}`}><${Icon} name=${made[0]} size=${14} /><span>${made[1]}</span></p>`;
}

function body(block, open, onToggle) {
  switch (block.kind) {
    case "text":
      if (!block.reasoning) return html`<div class=${`says ${block.open ? "says-open" : ""}`}><${Markdown} text=${block.text} /></div>`;
      return html`<details class="thinks" open=${open || block.open} onToggle=${(event) => onToggle(event.currentTarget.open)}><summary>thinks</summary><div class="thinks-text" dir="auto">${strip(block.text)}</div></details>`;
    case "tool":
      return html`<${ToolBlock} block=${block} open=${open} onToggle=${onToggle} />`;
    case "prompt":
      return html`<details class="prompt" open=${open} onToggle=${(event) => onToggle(event.currentTarget.open)}><summary><b>The work it was given</b><span class="prompt-first"><bdi>${strip(block.text).slice(0, 200)}</bdi></span></summary><${Markdown} text=${block.text} /></details>`;
    case "check":
      return html`<details class=${`tool ${block.passed ? "check-good" : "tool-failed"}`} open=${open} onToggle=${(event) => onToggle(event.currentTarget.open)}>
        <summary><${Icon} name=${block.passed ? "check" : "cross"} size=${15} /><span class="tool-name">check</span><span class="tool-what mono"><bdi>${strip(block.command ?? "")}</bdi></span><span class=${`tool-state ${block.passed ? "" : "tool-bad"}`}>${block.passed ? "passed" : "failed"}</span></summary>
        ${open && html`<div class="tool-body">${block.output ? html`<${Output} text=${block.output} />` : html`<p class="faint">It printed nothing.</p>`}</div>`}
      </details>`;
    case "error":
      return html`<div class="trouble" role="note"><${Icon} name="alert" size=${15} /><span dir="auto">${strip(block.text)}</span></div>`;
    case "refused":
      return html`<div class="trouble trouble-soft" role="note"><${Icon} name="alert" size=${15} /><span dir="auto"><b>Not accepted as done.</b> ${strip(block.text)}</span></div>`;
    case "gap":
      return html`<p class="note"><${Icon} name="alert" size=${14} /><span>${block.text}</span></p>`;
    case "ended":
      return html`<div class=${`ended ended-${["Done", "NoChanges"].includes(block.reason) ? "good" : "bad"}`}><b>${strip(block.reason ?? "Ended")}</b>${block.message ? html` <span dir="auto">${strip(block.message)}</span>` : ""}</div>`;
    default:
      return html`<${Note} block=${block} />`;
  }
}

/** One block with its time and its permalink. Drawn again only when it has changed. */
export const Block = memo(({ block, open, onToggle, marked }) => {
  return html`<div class=${`block block-${block.kind} ${marked ? "block-marked" : ""}`} id=${`e${block.seq}`}>
    <a class="block-time" href=${`#e${block.seq}`} title=${`event ${block.seq}`} aria-label=${`${clock(block.time)}, event ${block.seq}`}>${clock(block.time)}</a>
    <div class="block-body">${body(block, open, onToggle)}</div>
  </div>`;
}, ["block", "open", "marked"]);

/** Whether a block is open when nobody has said otherwise: what prints just now, what went wrong, and changes. */
export function opensItself(block) {
  if (block.kind === "tool" && block.state === "running") return !!block.output;
  if (block.kind === "tool") return block.state === "error" || !!block.exitCode || (block.edits ?? []).some((edit) => edit.diff);
  return block.kind === "check" && !block.passed;
}
export const agentTitle = title;
