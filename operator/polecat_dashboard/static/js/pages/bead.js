// One bead: what is wanted, how it stands, what was tried, and what one may do about it.
import { html, useEffect, useRef, useState } from "../lib.js";
import { get, permissions, post } from "../api.js";
import { all, connection, find, serverNow, useTopics } from "../store.js";
import { beadPath, go, polecatPath, streamPath } from "../router.js";
import { cost, count, duration, moment, plural, title } from "../format.js";
import { Markdown } from "../markdown.js";
import { Age, Branch, Copy, Dialog, Empty, Icon, Loading, Mark, State } from "../ui.js";
import { Commits } from "./changed.js";
import { Conditions } from "./places.js";

const SETTLE_MS = 60000;
const PRIORITIES = ["Low", "Normal", "High", "Critical"];

const UNREAD = { path: null, value: null, error: null };

/** Something that is read again whenever `trigger` changes, and when the dashboard is back after it was away. */
function useRead(path, trigger) {
  useTopics("connection");
  const [state, setState] = useState(UNREAD);
  useEffect(() => {
    if (!path) return undefined;
    const end = new AbortController();
    get(path, end.signal)
      .then((value) => setState({ path, value, error: null }))
      .catch((error) => error.name !== "AbortError" && setState((before) => ({ path, value: before.path === path ? before.value : null, error })));
    return () => end.abort();
  }, [path, trigger, connection.since]);
  // What was read of something else is not shown as this one's.
  return state.path === path ? state : UNREAD;
}

const QUESTIONS = {
  suspend: { heading: "Suspend this bead?", words: "Its agent is stopped; the work so far is saved, and resuming goes on from there.", yes: "Suspend" },
  cancel: { heading: "Cancel this bead?", words: "The Bead is deleted and its agent is stopped. The work so far is saved under a ref in the town, but nothing goes on from it by itself.", yes: "Cancel the bead", hard: true },
  rerun: { heading: "Run it again?", words: "A new attempt starts, from saved work where there is some.", yes: "Run again" },
};

/** Grows while the list of attempts may still change without the bead changing: the town closes a journal a little later. */
function useSettling(view, listed) {
  const [again, setAgain] = useState(0);
  const young = (bead) => !bead.completed || serverNow() - Date.parse(bead.completed) < SETTLE_MS;
  const complete = (bead) => !bead.polecat && listed?.every((each) => each.ended) && listed.length >= bead.attempts;
  const settling = !!view && young(view) && !complete(view);
  useEffect(() => {
    if (!settling) return undefined;
    const timer = setTimeout(() => setAgain((n) => n + 1), SETTLE_MS / 20);
    return () => clearTimeout(timer);
  }, [settling, again]);
  return again;
}

function Actions({ bead, may }) {
  const [asking, setAsking] = useState(null);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState("");
  const ended = bead.succeeded !== null;
  const act = async (action, body = {}) => {
    setBusy(true);
    setError("");
    try {
      await post(`/api${beadPath(bead.ns, bead.name)}/${action}`, { uid: bead.uid, ...body });
      setAsking(null);
      if (action === "cancel") go("/beads");
    } catch (problem) {
      setError(problem.message);
      setAsking(null);
    } finally {
      setBusy(false);
    }
  };
  if (!may?.edit && !may?.delete) return null;
  // What ends nothing needs no question.
  const ask = (action) => (action === "suspend" && !bead.polecat ? act(action) : setAsking(action));
  const question = QUESTIONS[asking];
  return html`<div class="actions">
    ${may.edit && !ended && !bead.suspend && html`<button type="button" class="button" disabled=${busy} onClick=${() => ask("suspend")}><${Icon} name="pause" size=${14} />Suspend</button>`}
    ${may.edit && !ended && bead.suspend && html`<button type="button" class="button button-main" disabled=${busy} onClick=${() => act("resume")}><${Icon} name="play" size=${14} />Resume</button>`}
    ${may.edit && ended && html`<button type="button" class="button" disabled=${busy} onClick=${() => ask("rerun")}><${Icon} name="again" size=${14} />Run again</button>`}
    ${may.edit && !ended && html`<label class="inline">Priority <select disabled=${busy} value=${bead.priority} onChange=${(event) => act("priority", { priority: event.target.value })}>${PRIORITIES.map((name) => html`<option value=${name}>${name}</option>`)}</select></label>`}
    ${may.delete && html`<button type="button" class="button button-hard" disabled=${busy} onClick=${() => ask("cancel")}><${Icon} name="cross" size=${14} />${ended ? "Delete" : "Cancel"}</button>`}
    ${error && html`<p class="problem" role="alert">${error}</p>`}
    ${question && html`<${Dialog} heading=${question.heading} onClose=${() => setAsking(null)}>
      <p>${question.words}</p>
      <p class="dialog-what"><bdi>${bead.title}</bdi></p>
      <form method="dialog" class="dialog-buttons">
        <button class="button" value="no" autofocus>No, leave it</button>
        <button type="button" class=${`button ${question.hard ? "button-hard-full" : "button-main"}`} disabled=${busy} onClick=${() => act(asking)}>${question.yes}</button>
      </form>
    <//>`}
  </div>`;
}

function Attempts({ bead, streams, polecat, mayRead }) {
  if (mayRead === false) return html`<p class="faint">Reading streams needs the right to <code>get polecats/stream</code> here.</p>`;
  if (streams.error && !streams.value) return html`<p class="faint">The streams can't be listed now: ${streams.error.message}.</p>`;
  if (!streams.value) return html`<${Loading} what="its attempts" />`;
  const listed = [...streams.value].reverse();
  if (polecat && !listed.some((each) => each.attempt === polecat.attempt)) listed.unshift({ attempt: polecat.attempt, last: 0, ended: false });
  if (!listed.length) return html`<p class="faint">${bead.attempts ? "The journals of its attempts are no longer kept." : "No agent has tried it yet."}</p>`;
  return html`<ul class="attempts">
    ${listed.map((each) => {
      const now = polecat?.attempt === each.attempt;
      return html`<li key=${each.attempt}><a href=${streamPath(bead.ns, bead.name, each.attempt)}>
        ${now ? html`<${Mark} name=${polecat.agent} size=${18} />` : html`<span class="attempt-number">${each.attempt}</span>`}
        <span class="attempt-what">${now ? html`<b>${title(polecat.agent)}</b> is at it now` : html`<b>Start ${each.attempt}</b>${each.reason ? html` – ${each.reason}` : ""}`}</span>
        <span class="faint">${each.last ? `${count(each.last)} events` : ""}${each.ended || now ? "" : ", not ended"}</span>
        <${Icon} name="right" size=${14} />
      </a></li>`;
    })}
  </ul>`;
}

const limit = (seconds) => duration(seconds).replace(/ 0+[smh]$/, "");

export function BeadPage({ ns, name }) {
  useTopics("beads", "polecats");
  const view = find("beads", ns, name);
  const fingerprint = view ? JSON.stringify(view) : "";
  const detail = useRead(view ? `/api${beadPath(ns, name)}` : null, fingerprint);
  const may = useRead(`/api/permissions/${encodeURIComponent(ns)}`, 0).value;
  const polecat = view?.polecat ? all("polecats").find((each) => each.ns === ns && each.beadUID === view.uid) : null;
  const listed = useRef(null);
  const again = useSettling(view, listed.current);
  const streams = useRead(view && may?.stream ? `/api/streams/${encodeURIComponent(ns)}/${encodeURIComponent(name)}` : null, `${view?.attempts} ${view?.interruptions} ${view?.state} ${again}`);
  listed.current = streams.value;
  const latest = polecat ? { attempt: polecat.attempt, ended: false } : streams.value?.at(-1);
  const heads = `${view?.state} ${detail.value?.headCommit} ${detail.value?.savedCommit} ${latest?.ended}`;
  const made = useRead(latest ? `/api${streamPath(ns, name, latest.attempt)}/changes?commits=1` : null, heads).value;
  if (!view) return html`<${Empty} title="There is no bead of this name."><p>It was cancelled, or never was. <a href="/beads">All beads</a></p><//>`;
  const full = detail.value;
  const sum = (usage) => (usage ? usage.tokensIn + usage.tokensOut : 0);
  const tokens = sum(view) + sum(polecat);
  const spent = view.costMicroUSD + (polecat?.costMicroUSD ?? 0);
  return html`<article class="bead">
    <header class="bead-head">
      <p class="crumbs"><a href="/beads">Beads</a> <span aria-hidden="true">/</span> <bdi>${ns}</bdi> <span aria-hidden="true">/</span> <bdi>${name}</bdi><${Copy} text=${name} label="name" /></p>
      <h1><bdi>${view.title}</bdi></h1>
      <p class="bead-state"><${State} state=${view.state} reason=${view.reason} /> <span class="bead-message"><bdi>${view.reason === "Escalated" ? "A person is asked." : full?.message || view.message}</bdi></span></p>
      <${Actions} bead=${view} may=${may} />
    </header>
    <div class="bead-columns">
      <div class="bead-main">
        ${view.reason === "Escalated" && html`<section class="panel panel-ask"><h2><${Icon} name="alert" size=${15} /> Its agent asks</h2><${Markdown} text=${full?.message || view.message} />
          <p class="hint">Answer in a new bead with a fuller prompt, or run this one again once what it needs is there.</p></section>`}
        ${view.summary && html`<section class="panel panel-good"><h2>What was done</h2><${Markdown} text=${full?.fullSummary || view.summary} />
          <p class="bead-result">${plural(view.commits, "commit")} · ${plural(view.files, "file")} · <ins>+${view.insertions}</ins> <del>−${view.deletions}</del></p></section>`}
        <section class="panel"><h2>What is wanted</h2>
          ${full ? html`<${Markdown} text=${full.prompt} />` : detail.error?.status === 403 ? html`<p class="faint">You may list beads here, but not read their prompts (<code>get beads</code>).</p>` : html`<${Loading} what="the prompt" />`}
        </section>
        <section class="panel"><h2>Attempts</h2><${Attempts} bead=${view} streams=${streams} polecat=${polecat} mayRead=${may?.stream} /></section>
        ${made?.commits.length > 0 && html`<section class="panel"><h2>Commits <span class="number">${made.commits.length}</span> <small class="faint">of start ${latest.attempt}</small></h2><${Commits} commits=${made.commits} more=${made.moreCommits} /></section>`}
      </div>
      <aside class="bead-side" aria-label="Details">
        ${polecat && html`<a class="panel bead-agent" href=${polecatPath(ns, polecat.name)}><${Mark} name=${polecat.agent} size=${30} /><span><b>${title(polecat.agent)}</b> is at work<small><bdi>${polecat.activity || "starting"}</bdi></small></span><${Icon} name="right" /></a>`}
        <section class="panel"><h2>Where the work is</h2>
          <dl class="facts">
            <div><dt>Rig</dt><dd><bdi>${view.rig}</bdi></dd></div>
            ${view.branch && html`<div><dt>Branch</dt><dd><${Branch} name=${view.branch} /><${Copy} text=${view.branch} label="branch" /></dd></div>`}
            ${full?.headCommit && html`<div><dt>On the remote</dt><dd><code>${full.headCommit.slice(0, 12)}</code><${Copy} text=${full.headCommit} label="commit" /></dd></div>`}
            ${full?.baseCommit && html`<div><dt>Began from</dt><dd><code>${full.baseCommit.slice(0, 12)}</code></dd></div>`}
            ${full?.savedCommit && html`<div><dt>Saved work</dt><dd><code>${full.savedCommit.slice(0, 12)}</code><${Copy} text=${full.savedRef} label="ref" /></dd></div>`}
            ${full?.baseBranch && html`<div><dt>From branch</dt><dd><bdi>${full.baseBranch}</bdi></dd></div>`}
            ${full?.model && html`<div><dt>Model</dt><dd><bdi>${full.model}</bdi></dd></div>`}
          </dl>
        </section>
        <section class="panel"><h2>How it went</h2>
          <dl class="facts">
            <div><dt>Attempts</dt><dd>${view.attempts}${full?.limits.attempts ? html` <small>of ${full.limits.attempts}</small>` : ""}</dd></div>
            <div><dt>Interruptions</dt><dd>${view.interruptions}</dd></div>
            <div><dt>Tokens</dt><dd>${count(tokens)} ${cost(spent)}</dd></div>
            <div><dt>Applied</dt><dd title=${moment(view.created)}><${Age} time=${view.created} /> ago</dd></div>
            ${view.started && html`<div><dt>Started</dt><dd><${Age} time=${view.started} /> ago</dd></div>`}
            ${view.completed && html`<div><dt>Took</dt><dd>${duration((Date.parse(view.completed) - Date.parse(view.started || view.created)) / 1000)}</dd></div>`}
            ${view.position && html`<div><dt>In the queue</dt><dd>place ${view.position}</dd></div>`}
            ${full && html`<div><dt>At most</dt><dd>${limit(full.limits.runSeconds)} an attempt, ${limit(full.limits.quietSeconds)} quiet</dd></div>`}
          </dl>
          ${view.dependsOn.length > 0 && html`<h3>After</h3><ul class="after">${view.dependsOn.map((other) => {
            const there = find("beads", ns, other);
            return html`<li><a href=${beadPath(ns, other)}><bdi>${there?.title ?? other}</bdi></a> ${there ? html`<${State} state=${there.state} />` : html`<span class="chip chip-warn">missing</span>`}</li>`;
          })}</ul>`}
        </section>
        ${full && html`<section class="panel"><h2>Conditions</h2><${Conditions} list=${full.conditions} /></section>`}
      </aside>
    </div>
  </article>`;
}
