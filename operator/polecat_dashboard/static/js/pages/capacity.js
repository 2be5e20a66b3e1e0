// How full each town is: slots, memory, CPU, and whose share is how large.
import { html } from "../lib.js";
import { all, useTopics } from "../store.js";
import { bytes, plural, title } from "../format.js";
import { colours } from "../agents.js";

function Bar({ label, parts, total, text }) {
  const used = parts.reduce((sum, part) => sum + part.value, 0);
  return html`<div class="gauge">
    <div class="gauge-head"><span>${label}</span><span class="gauge-text">${text}</span></div>
    <div class="bar" role="img" aria-label=${`${label}: ${text}`}>
      ${parts.filter((part) => part.value > 0).map((part) => html`<span key=${part.key} class=${part.name ? "bar-agent" : "bar-other"} title=${part.title}
        style=${{ ...(part.name ? colours(part.name) : {}), width: `${(100 * part.value) / Math.max(total, used, 1)}%` }}></span>`)}
    </div>
  </div>`;
}

function agentParts(polecats, field, words) {
  return polecats.map((view) => ({ key: view.uid, name: view.agent, value: view[field], title: `${title(view.agent)}: ${words(view[field])}` }));
}

const cores = (millis) => `${(millis / 1000).toFixed(1)} cores`;

export function Capacity({ ns }) {
  useTopics("towns", "polecats");
  const towns = all("towns").filter((town) => !ns || town.ns === ns);
  if (!towns.length) return null;
  return html`${towns.map((town) => {
    const polecats = all("polecats").filter((view) => view.ns === town.ns && view.town === town.name);
    const slots = town.slots * town.replicas;
    const memory = town.pods.reduce((sum, pod) => sum + pod.memory, 0);
    const limit = town.pods.reduce((sum, pod) => sum + pod.memoryLimit, 0);
    const known = polecats.reduce((sum, view) => sum + view.memory, 0);
    const cpu = polecats.reduce((sum, view) => sum + view.cpu, 0);
    const cpuLimit = town.pods.reduce((sum, pod) => sum + pod.cpuLimit, 0);
    const ready = town.conditions.find((condition) => condition.type === "Ready");
    return html`<section class="panel" key=${`${town.ns}/${town.name}`} aria-label=${`Town ${town.name}`}>
      <h2>Town <bdi>${town.name}</bdi>${ready?.status !== "True" && html`<span class="chip chip-warn" title=${ready?.message}>${ready?.reason ?? "not ready"}</span>`}</h2>
      <${Bar} label="Slots" total=${slots} text=${`${polecats.length} of ${slots}`}
        parts=${polecats.map((view) => ({ key: view.uid, name: view.agent, value: 1, title: title(view.agent) }))} />
      ${limit > 0 && html`<${Bar} label="Memory" total=${limit} text=${`${bytes(memory)} of ${bytes(limit)}`}
        parts=${[...agentParts(polecats, "memory", bytes), { key: "rest", value: Math.max(0, memory - known), title: `Everything else: ${bytes(Math.max(0, memory - known))}` }]} />`}
      ${cpuLimit > 0 && html`<${Bar} label="CPU" total=${cpuLimit} text=${`${(cpu / 1000).toFixed(1)} of ${plural(Math.round(cpuLimit / 1000), "core")}`}
        parts=${agentParts(polecats, "cpu", cores)} />`}
    </section>`;
  })}`;
}
