// All agents at work side by side, who waits, and how full the town is.
import { html, memo, useMemo, useState } from "../lib.js";
import { all, connection, key, tails, useTopics } from "../store.js";
import { beadPath, polecatPath } from "../router.js";
import { cost, count, duration, order, plural, short, title } from "../format.js";
import { colours } from "../agents.js";
import { Age, Branch, Empty, Icon, Mark, useNear, useTick } from "../ui.js";
import { VirtualList } from "../virtual.js";
import { Capacity } from "./capacity.js";

const WAITING = new Set(["Pending", "Queued", "Waiting", "BackingOff", "Suspended"]);
const RANK = { Critical: 0, High: 1, Normal: 2, Low: 3 };
const STATE_WORDS = { created: "starting", claimed: "starting", running: "at work", finished: "finished", leaving: "leaving" };

function Lines({ uid }) {
  const [ref, near] = useNear();
  useTopics(near ? `tail ${uid}` : "none");
  return html`<div class="lines-room" ref=${ref} aria-hidden="true"><${LastLines} lines=${tails.get(uid)} /></div>`;
}

function LastLines({ lines }) {
  if (!lines?.length) return html`<div class="lines lines-none"><span>nothing said yet</span></div>`;
  return html`<div class="lines">
    ${lines.map(([seq, kind, text], index) => html`<div key=${`${seq}-${index}`} class=${`line line-${kind}`}><bdi>${text}</bdi></div>`)}
  </div>`;
}

function Beat({ view }) {
  const now = useTick();
  const beat = view.heartbeat ? (now - Date.parse(view.heartbeat)) / 1000 : null;
  const moved = view.progress ? (now - Date.parse(view.progress)) / 1000 : null;
  const quiet = moved === null || !view.quietSeconds ? 0 : Math.min(1, moved / view.quietSeconds);
  const late = beat !== null && beat > 95;
  return html`<span class=${`beat ${late ? "beat-late" : ""}`} title="Last sign of life of its process"><${Icon} name="heart" size=${12} />${beat === null ? "–" : short(beat)}</span>
    <span class=${`beat ${quiet > 0.5 ? "beat-late" : ""}`} title="Last progress: what it said or did"><${Icon} name="pulse" size=${13} />${moved === null ? "–" : short(moved)}</span>`;
}

const Tile = memo(({ view }) => {
  const tokens = view.tokensIn + view.tokensOut;
  return html`<article class=${`tile tile-${view.state}`} style=${colours(view.agent)} aria-labelledby=${`p-${view.uid}`}>
    <header>
      <span class="tile-mark"><${Mark} name=${view.agent} size=${26} /></span>
      <div class="tile-names">
        <h3 id=${`p-${view.uid}`}><a class="cover" href=${polecatPath(view.ns, view.name)}>${title(view.agent)}</a></h3>
        <p class="tile-where"><bdi>${view.rig}</bdi><span class="dot">·</span><bdi>${view.bead}</bdi></p>
      </div>
      <div class="tile-when">
        <span class="tile-state">${view.state === "running" ? html`<i class="breath" aria-hidden="true"></i>` : null}${STATE_WORDS[view.state]}</span>
        <${Age} class="tile-age" time=${view.claimed || view.created} format=${duration} />
      </div>
    </header>
    <p class="tile-title"><bdi>${view.title}</bdi></p>
    <${Lines} uid=${view.uid} />
    <p class="tile-activity" title=${view.activity}>${view.activity ? html`<${Icon} name="terminal" size=${13} /><bdi>${view.activity}</bdi>` : html`<span class="faint">no activity reported yet</span>`}</p>
    <footer>
      <${Branch} name=${view.branch} />
      <span class="spring"></span>
      <${Beat} view=${view} />
      <span class="beat" title=${`${view.tokensIn} tokens read, ${view.tokensOut} written`}><${Icon} name="token" size=${13} />${count(tokens)}</span>
      ${cost(view.costMicroUSD) && html`<span class="beat">${cost(view.costMicroUSD)}</span>`}
    </footer>
  </article>`;
}, ["view"]);

function QueueRow({ bead }) {
  const waiting = bead.position ?? (bead.state === "Suspended" ? "‖" : "·");
  return html`<a class="queue-row" href=${beadPath(bead.ns, bead.name)}>
    <span class=${`queue-position ${bead.position ? "" : "queue-aside"}`} aria-label=${bead.position ? `position ${bead.position}` : "not in line"}>${waiting}</span>
    <span class="queue-what">
      <span class="queue-title"><bdi>${bead.title}</bdi></span>
      <span class="queue-why" title=${bead.message}>${bead.priority !== "Normal" && html`<b class=${`priority priority-${bead.priority}`}>${bead.priority}</b>`}${bead.message || bead.reason || "not seen by the operator yet"}</span>
    </span>
    <${Age} class="queue-age" time=${bead.created} />
  </a>`;
}

function EndedRow({ bead }) {
  const good = bead.succeeded;
  return html`<a class="ended-row" href=${beadPath(bead.ns, bead.name)}>
    <span class=${good ? "ended-good" : "ended-bad"}><${Icon} name=${good ? "check" : "cross"} size=${14} /><span class="sr">${good ? "succeeded" : "failed"}</span></span>
    <span class="ended-title"><bdi>${bead.title}</bdi></span>
    ${good && bead.commits ? html`<span class="ended-size"><ins>+${bead.insertions}</ins> <del>−${bead.deletions}</del></span>` : html`<span class="ended-size">${bead.reason}</span>`}
    <${Age} class="queue-age" time=${bead.completed} />
  </a>`;
}

export function queueOrder(a, b) {
  return (a.position ?? 1e9) - (b.position ?? 1e9) || (a.suspend ? 1 : 0) - (b.suspend ? 1 : 0)
    || RANK[a.priority] - RANK[b.priority] || order(a.created, b.created);
}

function useTown(filter) {
  const moved = useTopics("polecats");
  const changed = useTopics("beads");
  const inside = (view) => (!filter.ns || view.ns === filter.ns) && (!filter.rig || view.rig === filter.rig);
  const polecats = useMemo(() => all("polecats").filter(inside).sort((a, b) => order(a.created, b.created) || order(a.name, b.name)), [moved, filter]);
  const beads = useMemo(() => {
    const there = all("beads").filter(inside);
    return {
      waiting: there.filter((bead) => WAITING.has(bead.state)).sort(queueOrder),
      ended: there.filter((bead) => bead.completed && bead.succeeded !== null).sort((a, b) => order(b.completed, a.completed)),
    };
  }, [changed, filter]);
  return { polecats, ...beads };
}

function Filter({ filter, onChange }) {
  useTopics("rigs", "connection");
  const rigs = [...new Set(all("rigs").filter((rig) => !filter.ns || rig.ns === filter.ns).map((rig) => rig.name))].sort();
  const spaces = connection.namespaces;
  if (rigs.length < 2 && spaces.length < 2) return null;
  return html`<div class="filter">
    ${spaces.length > 1 && html`<label><span class="sr">Namespace</span><select value=${filter.ns} onChange=${(event) => onChange({ ns: event.target.value, rig: "" })}>
      <option value="">all namespaces</option>${spaces.map((name) => html`<option value=${name}>${name}</option>`)}</select></label>`}
    ${rigs.length > 1 && html`<label><span class="sr">Rig</span><select value=${filter.rig} onChange=${(event) => onChange({ ...filter, rig: event.target.value })}>
      <option value="">all rigs</option>${rigs.map((name) => html`<option value=${name}>${name}</option>`)}</select></label>`}
  </div>`;
}

function Nobody({ ended, waiting }) {
  if (waiting.length) {
    return html`<${Empty} title="Nobody is at work."><p>${plural(waiting.length, "bead waits", "beads wait")}; the reason stands beside each of them.</p><//>`;
  }
  return html`<${Empty} title=${ended.length ? "All work is done." : "Nobody is at work yet."}>
    <p>Sling a bead, and an agent takes it: each in its own worktree, on its own branch.</p>
    <p><a class="button button-main" href="/sling"><${Icon} name="plus" />Sling a bead</a></p>
  <//>`;
}

export function Town() {
  const [filter, setFilter] = useState({ ns: "", rig: "" });
  const { polecats, waiting, ended } = useTown(filter);
  const good = ended.filter((bead) => bead.succeeded).length;
  return html`<div class="town">
    <section class="yard" aria-labelledby="yard-heading">
      <div class="yard-head">
        <h1 id="yard-heading"><b>${polecats.length}</b> at work</h1>
        <p class="sums"><span><b>${waiting.length}</b> waiting</span><span><b>${good}</b> done</span>${ended.length > good && html`<span class="sums-bad"><b>${ended.length - good}</b> failed</span>`}</p>
        <span class="spring"></span>
        <${Filter} filter=${filter} onChange=${setFilter} />
      </div>
      ${polecats.length
        ? html`<div class="tiles">${polecats.map((view) => html`<${Tile} key=${view.uid} view=${view} />`)}</div>`
        : html`<${Nobody} ended=${ended} waiting=${waiting} />`}
    </section>
    <aside class="rail" aria-label="Queue and capacity">
      <${Capacity} ns=${filter.ns} />
      <section class="panel" aria-labelledby="queue-heading">
        <h2 id="queue-heading">Queue <span class="number">${waiting.length}</span></h2>
        ${waiting.length
          ? html`<div class="queue" data-scroller tabindex="0" role="group" aria-label="Beads that wait"><${VirtualList} items=${waiting} rowHeight=${52} keyOf=${key} label="Beads that wait" row=${(bead) => html`<${QueueRow} bead=${bead} />`} /></div>`
          : html`<p class="faint">Nothing waits.</p>`}
      </section>
      ${ended.length > 0 && html`<section class="panel" aria-labelledby="ended-heading">
        <h2 id="ended-heading">Just arrived</h2>
        <div>${ended.slice(0, 8).map((bead) => html`<${EndedRow} key=${bead.uid} bead=${bead} />`)}</div>
      </section>`}
    </aside>
  </div>`;
}
