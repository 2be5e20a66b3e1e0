// One agent's work, from its beginning and as it happens.
import { html, useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../lib.js";
import { all, find, useTopics } from "../store.js";
import { beadPath, go, streamPath } from "../router.js";
import { cost, count, duration, plural, title } from "../format.js";
import { colours } from "../agents.js";
import { searchText } from "../conversation.js";
import { Age, Branch, Copy, Empty, Icon, Loading, Mark } from "../ui.js";
import { Block, opensItself } from "./blocks.js";
import { useConversation } from "./follow.js";
import { StreamSide } from "./side.js";

const CHUNK = 40;
const NEAR_BOTTOM = 60;

/** Blocks of which nothing is in sight take their room and nothing else. */
function Chunk({ blocks, first, root, always, opened, toggle, marked }) {
  const ref = useRef(null);
  const [near, setNear] = useState(always);
  const height = useRef(blocks.length * 44);
  useEffect(() => {
    const observer = new IntersectionObserver(([entry]) => {
      if (!entry.isIntersecting && ref.current) height.current = ref.current.offsetHeight;
      setNear(entry.isIntersecting);
    }, { root: root.current, rootMargin: "1200px 0px" });
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  const drawn = near || always;
  return html`<div ref=${ref} class="chunk" style=${drawn ? {} : { height: `${height.current}px` }}>
    ${drawn && blocks.map((block, index) => {
      const open = opened.get(block.seq) ?? opensItself(block);
      return html`<${Block} key=${first + index} block=${block} open=${open} marked=${marked === first + index} onToggle=${(now) => now !== open && toggle(block.seq, now)} />`;
    })}
  </div>`;
}

function useSearch(conversation, words) {
  return useMemo(() => {
    const wanted = words.trim().toLowerCase();
    if (wanted.length < 2) return [];
    const found = [];
    conversation.blocks.forEach((block, index) => {
      if (searchText(block).includes(wanted)) found.push(index);
    });
    return found;
  }, [words, words && conversation.version]);
}

/** Marks all that was searched for, without touching the document. */
function useHighlights(root, words, trigger) {
  useEffect(() => {
    if (!globalThis.CSS?.highlights) return undefined;
    CSS.highlights.delete("found");
    const wanted = words.trim().toLowerCase();
    if (wanted.length < 2 || !root.current) return undefined;
    const ranges = [];
    const walker = document.createTreeWalker(root.current, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node && ranges.length < 2000; node = walker.nextNode()) {
      const text = node.data.toLowerCase();
      for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
        const range = new Range();
        range.setStart(node, at);
        range.setEnd(node, at + wanted.length);
        ranges.push(range);
      }
    }
    CSS.highlights.set("found", new Highlight(...ranges));
    return () => CSS.highlights.delete("found");
  }, [words, trigger]);
}

function Toolbar({ conversation, status, words, setWords, found, at, jumpFound, jumpError, following, setFollowing, download }) {
  const keys = (event) => {
    if (event.key === "Enter") {
      event.preventDefault();
      jumpFound(event.shiftKey ? -1 : 1);
    } else if (event.key === "Escape") {
      setWords("");
    }
  };
  const errors = conversation.errors.length;
  return html`<div class="toolbar" role="toolbar" aria-label="Stream">
    <span class="find">
      <${Icon} name="search" size=${14} />
      <input id="find" type="search" value=${words} onInput=${(event) => setWords(event.target.value)} onKeyDown=${keys} placeholder="Search" aria-label="Search in this stream" />
      ${words.trim().length > 1 && html`<span class="find-count" role="status">${found.length ? `${at + 1}/${found.length}` : "none"}</span>
        <button type="button" class="quiet" onClick=${() => jumpFound(-1)} aria-label="Previous match"><${Icon} name="up" /></button>
        <button type="button" class="quiet" onClick=${() => jumpFound(1)} aria-label="Next match"><${Icon} name="down" /></button>`}
    </span>
    <button type="button" class="button tool-errors" disabled=${!errors} onClick=${jumpError} title="Jump to what went wrong (e)"><${Icon} name="alert" size=${14} />${errors ? plural(errors, "problem") : "no problems"}</button>
    <span class="spring"></span>
    <button type="button" class="button" aria-pressed=${following} onClick=${() => setFollowing(!following)} title="Follow the end (f)"><${Icon} name=${following ? "pause" : "follow"} size=${14} />${following ? "Following" : "Follow"}</button>
    <a class="button" href=${download} download title="All events as JSON lines"><${Icon} name="download" size=${14} /><span class="wide-only">JSONL</span></a>
  </div>`;
}

function Head({ ns, beadName, attempt, bead, polecat, agent, conversation }) {
  const usage = conversation.usage;
  const tokens = usage.input + usage.output || (polecat ? polecat.tokensIn + polecat.tokensOut : 0);
  const spent = cost(usage.cost || polecat?.costMicroUSD);
  const branch = polecat?.branch ?? conversation.milestones.find((each) => each.kind === "claimed")?.data.branch ?? bead?.branch;
  const seconds = conversation.firstTime ? (Date.parse(conversation.lastTime) - Date.parse(conversation.firstTime)) / 1000 : 0;
  return html`<header class="stream-head">
    <span class="stream-mark"><${Mark} name=${agent} size=${36} /></span>
    <div class="stream-names">
      <h1>${title(agent)}${polecat && html`<span class="stream-state">${polecat.state === "running" && html`<i class="breath" aria-hidden="true"></i>`}${polecat.state === "running" ? "at work" : polecat.state}</span>`}</h1>
      <p><a href=${beadPath(ns, beadName)}><bdi>${bead?.title ?? beadName}</bdi></a></p>
    </div>
    <dl class="stream-facts">
      <div><dt>Start</dt><dd>${attempt}</dd></div>
      <div><dt>${polecat ? "Age" : "Took"}</dt><dd>${polecat ? html`<${Age} time=${polecat.claimed || polecat.created} format=${duration} />` : duration(seconds)}</dd></div>
      ${polecat && html`<div><dt>Alive</dt><dd><${Age} time=${polecat.heartbeat} /></dd></div><div><dt>Progress</dt><dd><${Age} time=${polecat.progress} /></dd></div>`}
      <div><dt>Tokens</dt><dd>${count(tokens)}${spent && html` <small>${spent}</small>`}</dd></div>
      ${branch && html`<div class="stream-branch"><dt>Branch</dt><dd><${Branch} name=${branch} /><${Copy} text=${branch} label="branch" /></dd></div>`}
    </dl>
  </header>`;
}

function agentOf(polecat, conversation, bead) {
  const claimed = conversation.milestones.find((each) => each.kind === "claimed");
  const rig = bead?.rig ?? polecat?.rig;
  const object = claimed?.data.polecat ?? "";
  return polecat?.agent ?? (rig && object.startsWith(`${rig}-`) ? object.slice(rig.length + 1) : object) ?? bead?.polecat;
}

export function StreamPage({ ns, bead: beadName, attempt }) {
  const seen = useTopics("beads", "polecats");
  const bead = find("beads", ns, beadName);
  const polecat = useMemo(() => all("polecats").find((view) => view.ns === ns && view.bead === beadName && view.attempt === attempt), [seen]);
  const { conversation, status, error } = useConversation(ns, beadName, attempt);
  const scroller = useRef(null);
  const [following, setFollowing] = useState(!location.hash);
  const [missed, setMissed] = useState(0);
  const [opened, setOpened] = useState(() => new Map());
  const [words, setWords] = useState("");
  const [marked, setMarked] = useState(-1);
  const [at, setAt] = useState(0);
  const [side, setSide] = useState(false);
  const found = useSearch(conversation, words);
  const errorAt = useRef(-1);
  const agent = agentOf(polecat, conversation, bead) || "polecat";

  const toggle = useCallback((seq, now) => setOpened((before) => {
    if (before.get(seq) === now) return before;
    return new Map(before).set(seq, now);
  }), []);

  const jump = useCallback((index, open = false) => {
    const block = conversation.blocks[index];
    if (!block) return;
    setFollowing(false);
    setMarked(index);
    if (open) setOpened((before) => new Map(before).set(block.seq, true));
    const look = (tries) => {
      const element = document.getElementById(`e${block.seq}`);
      if (element) element.scrollIntoView({ block: "center" });
      if (tries) requestAnimationFrame(() => look(tries - 1));
    };
    requestAnimationFrame(() => look(3));
  }, [conversation]);

  const jumpFound = (step) => {
    if (!found.length) return;
    const next = (at + step + found.length) % found.length;
    setAt(next);
    jump(found[next], true);
  };
  useEffect(() => {
    setAt(0);
    if (found.length) jump(found[0], true);
  }, [words]);
  const jumpError = () => {
    const { errors } = conversation;
    if (!errors.length) return;
    errorAt.current = errors.find((index) => index > errorAt.current) ?? errors[0];
    jump(errorAt.current, true);
  };

  // A permalink: as soon as its event has come, and whenever the fragment changes.
  const pending = useRef(location.hash);
  useEffect(() => {
    const change = () => {
      pending.current = location.hash;
      tryHash();
    };
    addEventListener("hashchange", change);
    return () => removeEventListener("hashchange", change);
  }, []);
  const tryHash = () => {
    const wanted = /^#e(\d+)$/.exec(pending.current ?? "");
    if (!wanted || conversation.lastSeq < Number(wanted[1])) return;
    pending.current = "";
    jump(conversation.blockOf(Number(wanted[1])));
  };
  useEffect(tryHash, [conversation.version]);

  useLayoutEffect(() => {
    const element = scroller.current;
    if (following && element) element.scrollTop = element.scrollHeight;
  });
  const before = useRef(0);
  useEffect(() => {
    if (following) setMissed(0);
    else if (conversation.blocks.length > before.current) setMissed((n) => n + conversation.blocks.length - before.current);
    before.current = conversation.blocks.length;
  }, [conversation.blocks.length, following]);

  const lastTop = useRef(0);
  const scrolled = () => {
    const element = scroller.current;
    const bottom = element.scrollHeight - element.scrollTop - element.clientHeight;
    if (bottom < 4 && !following && element.scrollTop > lastTop.current) setFollowing(true);
    else if (following && bottom > NEAR_BOTTOM && element.scrollTop < lastTop.current) setFollowing(false);
    lastTop.current = element.scrollTop;
  };

  useEffect(() => {
    const keys = (event) => {
      if (event.target.closest?.("input, textarea, select") || event.metaKey || event.ctrlKey || event.altKey) return;
      if (event.key === "/") {
        event.preventDefault();
        document.getElementById("find")?.focus();
      } else if (event.key === "f") setFollowing((now) => !now);
      else if (event.key === "e") jumpError();
    };
    addEventListener("keydown", keys);
    return () => removeEventListener("keydown", keys);
  });

  useHighlights(scroller, words, `${conversation.version} ${opened.size} ${marked}`);

  const chunks = [];
  for (let first = 0; first < conversation.blocks.length; first += CHUNK) chunks.push(first);
  const markedChunk = Math.floor(marked / CHUNK);
  const download = `/api/streams/${encodeURIComponent(ns)}/${encodeURIComponent(beadName)}/${attempt}/download`;

  return html`<div class="stream" style=${colours(agent)}>
    <${Head} ns=${ns} beadName=${beadName} attempt=${attempt} bead=${bead} polecat=${polecat} agent=${agent} conversation=${conversation} />
    <${Toolbar} conversation=${conversation} status=${status} words=${words} setWords=${setWords} found=${found} at=${at} jumpFound=${jumpFound} jumpError=${jumpError} following=${following} setFollowing=${setFollowing} download=${download} />
    <div class="stream-tabs" role="group" aria-label="What to see">
      <button type="button" aria-pressed=${!side} onClick=${() => setSide(false)}>Conversation</button>
      <button type="button" aria-pressed=${side} onClick=${() => setSide(true)}>Time line & changes</button>
    </div>
    <div class=${`stream-body ${side ? "stream-body-side" : ""}`}>
      <div class="conversation" ref=${scroller} onScroll=${scrolled} tabindex="0" role="log" aria-live="off" aria-label=${`What ${title(agent)} says and does`}>
        ${status === "refused" && html`<${Empty} title="You may not read this stream."><p>Reading what agents say needs the right to <code>get polecats/stream</code> in ${ns}.</p><//>`}
        ${status === "missing" && !conversation.events && html`<${Empty} title="This stream is not there."><p>It has not begun yet, or its journal is no longer kept. <a href=${beadPath(ns, beadName)}>To the bead</a></p><//>`}
        ${status === "connecting" && html`<${Loading} what="the stream" />`}
        ${status === "live" && !conversation.events && html`<${Loading} what="the stream" />`}
        ${chunks.map((first, index) => html`<${Chunk} key=${first} first=${first} blocks=${conversation.blocks.slice(first, first + CHUNK)} root=${scroller}
          always=${index === chunks.length - 1 || index === markedChunk} opened=${opened} toggle=${toggle} marked=${marked} />`)}
        ${status === "live" && conversation.events > 0 && html`<p class="waiting-line" aria-hidden="true"><i class="breath"></i></p>`}
        ${status === "lost" && conversation.events > 0 && html`<p class="note note-lost" role="status"><${Icon} name="alert" size=${14} /><span>The stream is interrupted (${error || "connection lost"}); it goes on here by itself.</span></p>`}
      </div>
      ${!following && missed > 0 && html`<button type="button" class="pill" onClick=${() => setFollowing(true)}><${Icon} name="down" size=${14} />${missed} new</button>`}
      <${StreamSide} conversation=${conversation} jump=${(seq) => { setSide(false); jump(conversation.blockOf(seq)); }} ns=${ns} beadName=${beadName} attempt=${attempt} bead=${bead} />
    </div>
  </div>`;
}

/** The address of a polecat: leads to what it works on, and says so when it has gone. */
export function PolecatPage({ ns, name }) {
  useTopics("polecats");
  const polecat = find("polecats", ns, name);
  const held = useRef(null);
  if (polecat) held.current = polecat;
  if (!held.current) {
    return html`<${Empty} title="There is no polecat of this name now."><p>Its name is free again for the next bead. What it did stands at its bead.</p><p><a href="/beads">All beads</a></p><//>`;
  }
  return html`<${StreamPage} ns=${ns} bead=${held.current.bead} attempt=${held.current.attempt} />`;
}
