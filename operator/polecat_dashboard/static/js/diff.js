// A unified diff with its lines coloured and numbered.
import { html, useMemo, useState } from "./lib.js";
import { strip } from "./text.js";

const LINES_SHOWN = 400;

export function parseDiff(diff) {
  const lines = [];
  let before = 0;
  let after = 0;
  // How many lines of the hunk are to come: within it "--- x" is a line that went, not a header.
  let gone = 0;
  let come = 0;
  for (const raw of diff.split("\n")) {
    const hunk = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(.*)$/.exec(raw);
    const inside = gone > 0 || come > 0;
    if (inside && !raw.startsWith("+")) gone -= raw.startsWith("\\") ? 0 : 1;
    if (inside && !raw.startsWith("-")) come -= raw.startsWith("\\") ? 0 : 1;
    if (!inside && hunk) {
      before = Number(hunk[1]);
      after = Number(hunk[3]);
      gone = Number(hunk[2] ?? 1);
      come = Number(hunk[4] ?? 1);
      lines.push({ kind: "hunk", text: hunk[5].trim() });
    } else if (raw.startsWith("\\") || (!inside && /^(Index: |={3,}|diff --git |index |--- |\+\+\+ |new file|deleted file|(dis)?similarity index |rename |copy |old mode |new mode |Binary files )/.test(raw))) {
      continue;
    } else if (raw.startsWith("+")) {
      lines.push({ kind: "add", number: after, text: raw.slice(1) });
      after += 1;
    } else if (raw.startsWith("-")) {
      lines.push({ kind: "del", number: before, text: raw.slice(1) });
      before += 1;
    } else if (raw || before) {
      lines.push({ kind: "same", number: after, text: raw.slice(1) });
      before += 1;
      after += 1;
    }
  }
  while (lines.length && lines.at(-1).kind === "same" && !lines.at(-1).text) lines.pop();
  return lines;
}

const SIGN = { add: "+", del: "−", same: " ", hunk: "" };

export function Diff({ diff }) {
  const lines = useMemo(() => parseDiff(diff), [diff]);
  const [shown, setShown] = useState(LINES_SHOWN);
  if (!lines.length) return null;
  return html`<div class="diff" role="figure" aria-label="changes" tabindex="0">
    ${lines.slice(0, shown).map(
      (line) => html`<div class=${`diff-line diff-${line.kind}`}>
        <span class="diff-number" aria-hidden="true">${line.number ?? ""}</span>
        <span class="diff-sign" aria-hidden=${line.kind === "same"}>${SIGN[line.kind]}</span>
        <span class="diff-text">${strip(line.text) || (line.kind === "hunk" ? "⋯" : " ")}</span>
      </div>`,
    )}
    ${lines.length > shown &&
    html`<button type="button" class="quiet diff-more" onClick=${() => setShown(shown + 10 * LINES_SHOWN)}>${lines.length - shown} lines more</button>`}
  </div>`;
}
