// All beads, to be looked through.
import { html, useMemo, useState } from "../lib.js";
import { all, key, useTopics } from "../store.js";
import { beadPath } from "../router.js";
import { count, order as inOrder, title } from "../format.js";
import { Age, Branch, Empty, Mark, State } from "../ui.js";
import { VirtualList } from "../virtual.js";
import { queueOrder } from "./town.js";

const GROUPS = [
  ["all", "All", () => true],
  ["open", "Open", (bead) => bead.succeeded === null],
  ["work", "At work", (bead) => !!bead.polecat && bead.succeeded === null],
  ["waiting", "Waiting", (bead) => !bead.polecat && bead.succeeded === null],
  ["done", "Done", (bead) => bead.succeeded === true],
  ["failed", "Failed", (bead) => bead.succeeded === false],
];

function Row({ bead }) {
  return html`<a class="bead-row" href=${beadPath(bead.ns, bead.name)}>
    <${State} state=${bead.state} reason=${bead.reason} />
    <span class="bead-row-title"><bdi>${bead.title}</bdi><small><bdi>${bead.rig}</bdi> · <bdi>${bead.name}</bdi></small></span>
    <span class="bead-row-agent">${bead.polecat && html`<${Mark} name=${bead.polecat} size=${16} /><span>${title(bead.polecat)}</span>`}</span>
    <span class="bead-row-where">${bead.branch ? html`<${Branch} name=${bead.branch} />` : html`<span class="faint" title=${bead.message}>${bead.message || bead.reason}</span>`}</span>
    <span class="bead-row-number" title="tokens">${bead.tokensIn + bead.tokensOut ? count(bead.tokensIn + bead.tokensOut) : ""}</span>
    <${Age} class="bead-row-age" time=${bead.completed || bead.created} />
  </a>`;
}

function order(a, b) {
  const open = (bead) => (bead.succeeded === null ? 0 : 1);
  if (open(a) !== open(b)) return open(a) - open(b);
  if (open(a)) return inOrder(b.completed || b.created, a.completed || a.created);
  return (a.polecat ? 0 : 1) - (b.polecat ? 0 : 1) || queueOrder(a, b);
}

export function BeadList() {
  const seen = useTopics("beads");
  const [group, setGroup] = useState("all");
  const [words, setWords] = useState("");
  const beads = useMemo(() => all("beads").sort(order), [seen]);
  const shown = useMemo(() => {
    const matches = GROUPS.find(([name]) => name === group)[2];
    const wanted = words.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const has = (bead) => {
      const text = `${bead.title} ${bead.name} ${bead.rig} ${bead.ns} ${bead.polecat} ${bead.branch} ${bead.reason} ${bead.state}`.toLowerCase();
      return wanted.every((word) => text.includes(word));
    };
    return beads.filter((bead) => matches(bead) && (!wanted.length || has(bead)));
  }, [beads, group, words]);
  return html`<div class="beads">
    <div class="list-head">
      <h1>Beads</h1>
      <div class="tabs" role="group" aria-label="Which beads">
        ${GROUPS.map(([name, label, matches]) => html`<button type="button" aria-pressed=${group === name} onClick=${() => setGroup(name)}>${label} <span class="number">${beads.filter(matches).length}</span></button>`)}
      </div>
      <span class="spring"></span>
      <input type="search" value=${words} onInput=${(event) => setWords(event.target.value)} placeholder="title, rig, name, branch …" aria-label="Find beads" />
    </div>
    ${shown.length
      ? html`<${VirtualList} items=${shown} rowHeight=${54} keyOf=${key} label="Beads" row=${(bead) => html`<${Row} bead=${bead} />`} />`
      : html`<${Empty} title=${beads.length ? "No bead is like that." : "There are no beads yet."}><p><a href="/sling">Sling one</a></p><//>`}
  </div>`;
}
