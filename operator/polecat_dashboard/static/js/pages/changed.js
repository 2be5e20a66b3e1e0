// What an attempt has changed, as Git itself tells it: files with their diffs, and commits.
import { html, useCallback, useEffect, useRef, useState } from "../lib.js";
import { get } from "../api.js";
import { serverNow } from "../store.js";
import { moment, plural } from "../format.js";
import { Diff } from "../diff.js";
import { strip, visible } from "../text.js";
import { Age, Copy, Icon, useNear } from "../ui.js";

const REST_MS = 15000;
const STATUS = { A: "new", C: "copied", D: "deleted", M: "changed", R: "renamed", T: "another type", U: "in conflict" };

/**
 * Reads an attempt's changes: `{value, error, busy, read}`. It is read again by itself when `trigger` is another one,
 * but not before some seconds have passed, and only while `wanted`: each reading is work for Git.
 */
export function useChanges(path, wanted, trigger) {
  const [state, setState] = useState({ value: null, error: null, busy: false });
  const held = useRef({ path: null, trigger: null, at: 0, end: null });
  const read = useCallback(() => {
    const { current } = held;
    current.end?.abort();
    const end = new AbortController();
    Object.assign(current, { path, trigger, at: Date.now(), end });
    setState((before) => ({ ...before, busy: true }));
    get(path, end.signal)
      .then((value) => setState({ value: { ...value, time: serverNow() }, error: null, busy: false }))
      .catch((error) => error.name !== "AbortError" && setState((before) => ({ ...before, error, busy: false })));
  }, [path, trigger]);
  useEffect(() => {
    if (!wanted || (held.current.path === path && held.current.trigger === trigger)) return undefined;
    const left = held.current.path === path ? REST_MS - (Date.now() - held.current.at) : 0;
    if (left <= 0) {
      read();
      return undefined;
    }
    const timer = setTimeout(read, left);
    return () => clearTimeout(timer);
  }, [path, wanted, trigger]);
  useEffect(() => () => {
    held.current.end?.abort();
    held.current = { path: null, trigger: null, at: 0, end: null };
  }, [path]);
  return { ...state, read };
}

function File({ file }) {
  const [open, setOpen] = useState(false);
  const cut = file.path.lastIndexOf("/") + 1;
  const binary = file.additions === null;
  return html`<li class="file">
    <button type="button" class="file-head" aria-expanded=${open} onClick=${() => setOpen(!open)}>
      <${Icon} name=${open ? "down" : "right"} size=${13} />
      <span class="file-path"><bdi><span class="faint">${visible(file.path.slice(0, cut))}</span>${visible(file.path.slice(cut))}</bdi></span>
      ${file.status !== "M" && html`<span class=${`file-status file-status-${file.status}`}>${STATUS[file.status] ?? file.status}</span>`}
      <span class="tool-size">${binary ? "binary" : html`<ins>+${file.additions}</ins> <del>−${file.deletions}</del>`}</span>
    </button>
    ${open && file.before && html`<p class="faint file-before">was <bdi>${visible(file.before)}</bdi></p>`}
    ${open && (binary ? html`<p class="faint">A binary or very large file: its content is not shown.</p>` : file.diff ? html`<div class="edit"><${Diff} diff=${file.diff} /></div>` : html`<p class="faint">There was no room for its diff.</p>`)}
  </li>`;
}

function Files({ value }) {
  const { files } = value;
  if (!files.length) return html`<p class="faint">${value.baseCommit ? "No file is another than at the beginning." : "The worktree is not there yet."}</p>`;
  return html`<ul class="files">${files.map((file) => html`<${File} key=${file.path} file=${file} />`)}</ul>
    ${value.moreFiles && html`<p class="hint">There are more files than are shown here.</p>`}
    ${value.moreDiff && html`<p class="hint">The diffs are too long to be shown in full.</p>`}`;
}

/** The commits of an attempt, newest first. */
export function Commits({ commits, more }) {
  return html`<ol class="commits" aria-label="Commits">
    ${commits.map((each) => html`<li key=${each.commit}>
      <span class="commit-subject"><bdi>${visible(strip(each.subject))}</bdi></span>
      <code title=${each.commit}>${each.commit.slice(0, 9)}</code><${Copy} text=${each.commit} label="commit" />
      ${each.timeSeconds > 0 && html`<${Age} class="faint" time=${new Date(each.timeSeconds * 1000).toISOString()} />`}
    </li>`)}
  </ol>${more && html`<p class="hint">There are more commits than are shown here.</p>`}`;
}

/** The panel beside a conversation. */
export function Changed({ ns, bead, attempt, trigger }) {
  const [ref, near] = useNear();
  const path = `/api/streams/${encodeURIComponent(ns)}/${encodeURIComponent(bead)}/${attempt}/changes`;
  const { value, error, busy, read } = useChanges(path, near, trigger);
  const sum = (field) => value.files.reduce((total, file) => total + (file[field] ?? 0), 0);
  return html`<section class="panel" ref=${ref} aria-busy=${busy}>
    <h2>Changed ${value?.live !== false && "so far"} ${value?.files.length > 0 && html`<span class="number">${value.files.length}</span>`}
      <span class="spring"></span>
      ${value?.files.length > 0 && html`<span class="tool-size"><ins>+${sum("additions")}</ins> <del>−${sum("deletions")}</del></span>`}
      <button type="button" class="quiet" disabled=${busy} onClick=${read} aria-label="Read the changes again" title=${value ? `As of ${moment(new Date(value.time).toISOString())}` : ""}><${Icon} name="again" size=${14} /></button></h2>
    ${value && html`<${Files} value=${value} />`}
    ${value?.commits.length > 0 && html`<h3>${plural(value.commits.length, "commit")}</h3><${Commits} commits=${value.commits} more=${value.moreCommits} />`}
    ${!value && !error && html`<p class="faint">Reading…</p>`}
    ${error && html`<p class="faint" role="status">${error.status === 404 ? "What it changed is no longer known." : `Not read: ${error.message}.`}</p>`}
  </section>`;
}
