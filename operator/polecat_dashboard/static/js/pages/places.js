// Rigs and towns with their conditions in words.
import { html } from "../lib.js";
import { all, useTopics } from "../store.js";
import { bytes, plural } from "../format.js";
import { Age, Empty, Icon } from "../ui.js";
import { Capacity } from "./capacity.js";

/** Conditions whose being True is bad news. */
const BAD_WHEN_TRUE = new Set(["Stalled"]);
const MOVING = new Set(["Reconciling", "Progressing"]);

export function Conditions({ list }) {
  if (!list.length) return html`<p class="faint">Nobody has looked at it yet.</p>`;
  // What is on its way is not ready yet, and nothing is wrong with that.
  const busy = list.some((each) => MOVING.has(each.type) && each.status === "True");
  return html`<dl class="conditions">
    ${list.map((each) => {
      const good = (each.status === "True") !== BAD_WHEN_TRUE.has(each.type);
      const calm = each.status === "Unknown" || MOVING.has(each.type) || (busy && each.type === "Ready");
      const tone = calm ? "calm" : good ? "good" : "bad";
      return html`<div key=${each.type} class=${`condition condition-${tone}`}>
        <dt><span class="condition-dot" aria-hidden="true"></span>${each.type} <span class="condition-status">${each.status}</span></dt>
        <dd>${each.reason !== "Ok" && html`<b>${each.reason}</b>`}${each.message && html`${each.reason !== "Ok" && " – "}<bdi>${each.message}</bdi>`}
          <p class="hint">${each.reason !== "Ok" && each.meaning && `${each.meaning.replace(/\.$/, "")} · `}<span class="condition-since">for <${Age} time=${each.since} /></span></p></dd>
      </div>`;
    })}
  </dl>`;
}

function Rig({ rig }) {
  return html`<section class="panel place" aria-labelledby=${`rig-${rig.uid}`}>
    <h3 id=${`rig-${rig.uid}`}><bdi>${rig.name}</bdi> <small>${rig.ns}</small></h3>
    <p class="place-url"><${Icon} name="link" size=${14} /><bdi>${rig.url}</bdi></p>
    <dl class="facts">
      <div><dt>Town</dt><dd>${rig.town}</dd></div>
      <div><dt>Polecats</dt><dd>${rig.polecats} of ${rig.max}</dd></div>
      <div><dt>Waiting</dt><dd>${rig.queued}</dd></div>
      <div><dt>Model</dt><dd><bdi>${rig.model}</bdi> <small>${rig.provider}</small></dd></div>
      <div><dt>Starts from</dt><dd><bdi>${rig.defaultBranch}</bdi></dd></div>
      <div><dt>Checks</dt><dd>${rig.checks.length ? rig.checks.map((check) => html`<code>${check}</code> `) : "none"}</dd></div>
    </dl>
    <${Conditions} list=${rig.conditions} />
  </section>`;
}

function Pod({ pod }) {
  return html`<tr>
    <th scope="row"><bdi>${pod.name}</bdi></th>
    <td><span class=${`chip chip-${pod.ready ? "good" : "warn"}`}>${pod.ready ? "takes work" : pod.reason}</span></td>
    <td>${plural(pod.slotsUsed, "slot")} used</td>
    <td>${bytes(pod.memory)} of ${bytes(pod.memoryLimit)}</td>
    <td>${pod.isolation.replace("Isolation", "").toLowerCase()} isolation</td>
    <td>seen <${Age} time=${pod.seen} /> ago</td>
  </tr>
  ${pod.message && html`<tr><td colspan="6" class="hint"><bdi>${pod.message}</bdi></td></tr>`}`;
}

function Town({ town }) {
  return html`<section class="panel place" aria-labelledby=${`town-${town.uid}`}>
    <h3 id=${`town-${town.uid}`}><bdi>${town.name}</bdi> <small>${town.ns}</small></h3>
    <dl class="facts">
      <div><dt>Pods</dt><dd>${town.replicas}</dd></div>
      <div><dt>Slots of each</dt><dd>${town.slots}</dd></div>
      <div><dt>Polecats</dt><dd>${town.polecats}</dd></div>
      <div><dt>Waiting</dt><dd>${town.queued}</dd></div>
      <div><dt>Memory of one agent</dt><dd>at most ${town.agentMemory}</dd></div>
    </dl>
    ${town.pods.length > 0 && html`<div class="table-wrap" tabindex="0" role="group" aria-label="Pods"><table><tbody>${town.pods.map((pod) => html`<${Pod} key=${pod.name} pod=${pod} />`)}</tbody></table></div>`}
    <${Conditions} list=${town.conditions} />
  </section>`;
}

export function Places() {
  useTopics("rigs", "towns");
  const sorted = (kind) => all(kind).sort((a, b) => a.ns.localeCompare(b.ns) || a.name.localeCompare(b.name));
  const rigs = sorted("rigs");
  const towns = sorted("towns");
  return html`<div class="places">
    <h1 class="sr">Rigs and towns</h1>
    <div class="places-main">
      <h2>Rigs <span class="number">${rigs.length}</span></h2>
      ${rigs.length ? rigs.map((rig) => html`<${Rig} key=${rig.uid} rig=${rig} />`) : html`<${Empty} title="There is no rig yet."><p>A rig is a repository with its model: <code>kubectl apply -f my-rig.yaml</code>; the README has one to copy.</p><//>`}
      <h2>Towns <span class="number">${towns.length}</span></h2>
      ${towns.length ? towns.map((town) => html`<${Town} key=${town.uid} town=${town} />`) : html`<${Empty} title="There is no town yet." />`}
    </div>
    <aside class="rail" aria-label="Capacity"><${Capacity} /></aside>
  </div>`;
}
