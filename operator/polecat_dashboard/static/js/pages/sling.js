// New beads: one from a form, or several from YAML or a Markdown list.
import { html, useMemo, useState } from "../lib.js";
import { post } from "../api.js";
import { all, connection, key, useTopics } from "../store.js";
import { beadPath } from "../router.js";
import { plural } from "../format.js";
import { Icon } from "../ui.js";

const EXAMPLE = `- Mend the date parser
  It reads 01.02. as January; add a test.
- Add a --json flag
  To the report command.`;

function Answer({ answer, ns }) {
  if (!answer) return null;
  return html`<div class="answer" role="status">
    ${answer.refused?.length > 0 && html`<div class="problem"><p><b>${answer.made ? "These were not made:" : "Nothing was made:"}</b></p><ul>${answer.refused.map((each) => html`<li><b><bdi>${each.name}</bdi></b> (${each.source}): <bdi>${each.why}</bdi></li>`)}</ul></div>`}
    ${answer.made?.length > 0 && html`<div class="good-news"><p><${Icon} name="check" /> <b>${plural(answer.made.length, "bead")} ${answer.made.every((each) => each.outcome === "unchanged") ? "there already" : "slung"}.</b></p>
      <ul>${answer.made.map((each) => html`<li><a href=${beadPath(ns, each.name)}><bdi>${each.name}</bdi></a> ${each.outcome === "unchanged" ? "was there already" : ""} ${each.note}</li>`)}</ul></div>`}
    ${answer.checked && !answer.refused?.length && html`<p class="good-news"><${Icon} name="check" /> ${plural(answer.checked.length, "bead")} can be made: ${answer.checked.join(", ")}</p>`}
  </div>`;
}

export function Sling() {
  const seen = useTopics("rigs", "beads", "connection");
  const rigs = useMemo(() => all("rigs").sort((a, b) => key(a).localeCompare(key(b))), [seen]);
  const [chosen, setChosen] = useState("");
  const [mode, setMode] = useState("form");
  const [form, setForm] = useState({ title: "", prompt: "", priority: "Normal", dependsOn: "" });
  const [text, setText] = useState("");
  const [busy, setBusy] = useState(false);
  const [answer, setAnswer] = useState(null);
  const [error, setError] = useState("");
  const takesWork = (each) => each.conditions.some((condition) => condition.type === "Ready" && condition.status === "True");
  const rig = rigs.find((each) => key(each) === chosen) ?? rigs.find(takesWork) ?? rigs[0];
  const set = (name) => (event) => setForm({ ...form, [name]: event.target.value });

  const sling = async (dryRun) => {
    setBusy(true);
    setError("");
    setAnswer(null);
    const depends = form.dependsOn.split(/[\s,]+/).filter(Boolean);
    const body = mode === "form" ? { title: form.title, prompt: form.prompt, priority: form.priority, dependsOn: depends } : { text };
    try {
      const got = await post("/api/sling", { namespace: rig.ns, rig: rig.name, dryRun, ...body });
      setAnswer(got);
      if (got.made && !got.refused.length) {
        setForm({ ...form, title: "", prompt: "", dependsOn: "" });
        setText("");
      }
    } catch (problem) {
      setError(problem.message);
    } finally {
      setBusy(false);
    }
  };
  const submit = (event) => {
    event.preventDefault();
    sling(false);
  };
  const ready = rig && (mode === "form" ? form.title.trim() : text.trim());
  return html`<div class="sling">
    <h1>Sling beads</h1>
    ${!rigs.length && html`<p class="problem">There is no rig yet, so nothing can be slung. Apply one first; the README has one to copy.</p>`}
    <form onSubmit=${submit} class="panel">
      <div class="field-row">
        <label class="field">Rig
          <select value=${rig ? key(rig) : ""} onChange=${(event) => setChosen(event.target.value)} disabled=${!rigs.length}>${rigs.map((each) => html`<option value=${key(each)}>${connection.namespaces.length > 1 ? key(each) : each.name}</option>`)}</select>
        </label>
        <div class="tabs" role="group" aria-label="How">
          <button type="button" aria-pressed=${mode === "form"} onClick=${() => setMode("form")}>One bead</button>
          <button type="button" aria-pressed=${mode === "text"} onClick=${() => setMode("text")}>Several: YAML or Markdown</button>
        </div>
      </div>
      ${mode === "form"
        ? html`<label class="field">Title <input value=${form.title} onInput=${set("title")} maxlength="200" required placeholder="Fix the login with an empty password" /></label>
          <label class="field">What the agent is told <textarea rows="10" value=${form.prompt} onInput=${set("prompt")} placeholder="In Markdown. Left empty, the title says it all."></textarea></label>
          <div class="field-row">
            <label class="field">Priority <select value=${form.priority} onChange=${set("priority")}>${["Low", "Normal", "High", "Critical"].map((name) => html`<option>${name}</option>`)}</select></label>
            <label class="field field-wide">After these beads have succeeded <input value=${form.dependsOn} onInput=${set("dependsOn")} placeholder="names, separated by spaces" list="bead-names" /></label>
            <datalist id="bead-names">${all("beads").filter((bead) => rig && bead.ns === rig.ns).slice(0, 200).map((bead) => html`<option value=${bead.name}>${bead.title}</option>`)}</datalist>
          </div>`
        : html`<label class="field">A Markdown list with a prompt under each item, short YAML, or whole Bead manifests
            <textarea rows="18" class="mono" value=${text} onInput=${(event) => setText(event.target.value)} placeholder=${EXAMPLE} spellcheck=${false}></textarea></label>`}
      ${error && html`<p class="problem problem-pre" role="alert">${error}</p>`}
      <div class="actions">
        <button class="button button-main" disabled=${busy || !ready}>${busy ? "Slinging …" : "Sling"}</button>
        <button type="button" class="button" disabled=${busy || !ready} onClick=${() => sling(true)}>Check only</button>
        <span class="hint">All are checked first; none is made if one can't be. The same again makes no doubles.</span>
      </div>
    </form>
    <${Answer} answer=${answer} ns=${rig?.ns} />
  </div>`;
}
