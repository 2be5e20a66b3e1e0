// Beside a conversation: its time line, and what has changed so far.
import { html } from "../lib.js";
import { clock, duration, plural } from "../format.js";
import { strip } from "../text.js";
import { Changed } from "./changed.js";

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

export function StreamSide({ conversation, jump, ns, beadName, attempt, bead }) {
  const { usage } = conversation;
  return html`<aside class="stream-side" aria-label="Time line and changes">
    <section class="panel">
      <h2>Time line</h2>
      ${conversation.milestones.length ? html`<${TimeLine} conversation=${conversation} jump=${jump} />` : html`<p class="faint">Nothing has happened yet.</p>`}
    </section>
    <${Changed} ns=${ns} bead=${beadName} attempt=${attempt} trigger=${`${conversation.calls} ${conversation.milestones.length}`} />
    ${bead?.commits ? html`<p class="hint">Arrived in all: ${plural(bead.commits, "commit")} in ${plural(bead.files, "file")}, +${bead.insertions} −${bead.deletions}.</p>` : null}
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
