// Beside a conversation: its time line, and what has changed so far.
import { html, useState } from "../lib.js";
import { clock, duration, plural } from "../format.js";
import { Diff } from "../diff.js";
import { strip, visible } from "../text.js";
import { Icon } from "../ui.js";

const WORDS = {
  claimed: "taken", worktree: "worktree ready", session: "session", "model-request": "first thought", nudged: "asked to go on",
  "done-called": "says done", refused: "not accepted", pushed: "pushed", checkpoint: "checkpoint", saved: "work saved", ended: "ended",
};
const TONE = { pushed: "good", refused: "bad", nudged: "warn", ended: "end" };

function what(each) {
  if (each.kind === "check") return `check ${each.data.passed ? "passed" : "failed"}`;
  if (each.kind === "session" && each.data.resumed) return "session resumed";
  if (each.kind === "ended") return strip(each.data.reason ?? "ended");
  return WORDS[each.kind];
}

function tone(each) {
  if (each.kind === "check") return each.data.passed ? "good" : "bad";
  if (each.kind === "ended") return ["Done", "NoChanges"].includes(each.data.reason) ? "good" : "bad";
  return TONE[each.kind] ?? "calm";
}

function TimeLine({ conversation, jump }) {
  const start = Date.parse(conversation.firstTime);
  return html`<ol class="timeline">
    ${conversation.milestones.map((each) => html`<li key=${each.seq} class=${`timeline-${tone(each)}`}>
      <button type="button" onClick=${() => jump(each.seq)} title=${clock(each.time)}><span class="timeline-at">+${duration((Date.parse(each.time) - start) / 1000)}</span><span class="timeline-what">${what(each)}</span></button>
    </li>`)}
  </ol>`;
}

function File({ file, jump }) {
  const [open, setOpen] = useState(false);
  const edits = file.edits.filter((edit) => edit.diff);
  const cut = file.path.lastIndexOf("/") + 1;
  return html`<li class="file">
    <button type="button" class="file-head" aria-expanded=${open} onClick=${() => setOpen(!open)}>
      <${Icon} name=${open ? "down" : "right"} size=${13} />
      <span class="file-path"><bdi><span class="faint">${visible(file.path.slice(0, cut))}</span>${visible(file.path.slice(cut))}</bdi></span>
      <span class="tool-size"><ins>+${file.additions}</ins> <del>−${file.deletions}</del></span>
    </button>
    ${open && edits.map((edit) => html`<div class="edit" key=${edit.seq}><button type="button" class="quiet edit-jump" onClick=${() => jump(edit.seq)}>where it happened</button><${Diff} diff=${edit.diff} /></div>`)}
    ${open && !edits.length && html`<p class="faint">The tool told no details.</p>`}
  </li>`;
}

export function StreamSide({ conversation, jump, bead }) {
  const files = [...conversation.files.values()].sort((a, b) => a.path.localeCompare(b.path));
  const sum = (field) => files.reduce((total, file) => total + file[field], 0);
  const { usage } = conversation;
  return html`<aside class="stream-side" aria-label="Time line and changes">
    <section class="panel">
      <h2>Time line</h2>
      ${conversation.milestones.length ? html`<${TimeLine} conversation=${conversation} jump=${jump} />` : html`<p class="faint">Nothing has happened yet.</p>`}
    </section>
    <section class="panel">
      <h2>Changed so far ${files.length > 0 && html`<span class="number">${files.length}</span><span class="spring"></span><span class="tool-size"><ins>+${sum("additions")}</ins> <del>−${sum("deletions")}</del></span>`}</h2>
      ${files.length ? html`<ul class="files">${files.map((file) => html`<${File} key=${file.path} file=${file} jump=${jump} />`)}</ul>` : html`<p class="faint">No file yet. What shell commands change is not counted here.</p>`}
      ${bead?.commits ? html`<p class="hint">Arrived in all: ${plural(bead.commits, "commit")} in ${plural(bead.files, "file")}, +${bead.insertions} −${bead.deletions}.</p>` : null}
    </section>
    <section class="panel">
      <h2>Model</h2>
      <dl class="facts">
        <div><dt>Answers</dt><dd>${usage.steps}</dd></div>
        <div><dt>Tokens read</dt><dd>${usage.input.toLocaleString()}</dd></div>
        <div><dt>Tokens written</dt><dd>${usage.output.toLocaleString()}</dd></div>
      </dl>
    </section>
  </aside>`;
}
