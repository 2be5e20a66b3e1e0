// One attempt as a conversation: events go in, blocks to be drawn come out. Nothing here draws.

const MILESTONES = new Set([
  "claimed", "worktree", "session", "model-request", "nudged", "done-called", "check", "refused", "pushed", "checkpoint",
  "saved", "ended",
]);
const TEXT_MAX = 400000;

export class Conversation {
  constructor() {
    this.blocks = [];
    this.calls = 0; // of tools that are over
    this.milestones = [];
    this.errors = []; // indices of blocks
    this.usage = { steps: 0, input: 0, output: 0, cost: 0 };
    this.lastSeq = 0;
    this.firstTime = "";
    this.lastTime = "";
    this.ended = null;
    this.events = 0;
    this.version = 0;
    this._parts = new Map();
    this._calls = new Map();
    this._starts = []; // [seq of event, index of block], in order
  }

  /** The index of the block that an event belongs to. */
  blockOf(seq) {
    let low = 0;
    let high = this._starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this._starts[middle][0] <= seq) low = middle;
      else high = middle - 1;
    }
    return this._starts.length ? this._starts[low][1] : -1;
  }

  /** Takes an event; false for one that was had before. */
  add(event) {
    if (typeof event.seq !== "number" || event.seq <= this.lastSeq) return false;
    this.lastSeq = event.seq;
    this.firstTime ||= event.time;
    this.lastTime = event.time;
    this.events += 1;
    this.version += 1;
    const data = event.data ?? {};
    const index = this._take(event, data);
    if (index >= 0) this._starts.push([event.seq, index]);
    if (MILESTONES.has(event.kind)) this.milestones.push({ seq: event.seq, time: event.time, kind: event.kind, data });
    return true;
  }

  /** The town does not have the events up to here any more. */
  gap(words, lastSeq) {
    this.version += 1;
    this.lastSeq = Math.max(this.lastSeq, lastSeq || 0);
    this._push({ seq: this.lastSeq, kind: "gap", text: words });
  }

  _push(block) {
    this.blocks.push({ v: 1, ...block });
    return this.blocks.length - 1;
  }

  _change(index, change) {
    const block = this.blocks[index];
    this.blocks[index] = { ...block, ...change, v: block.v + 1 };
    return index;
  }

  _take(event, data) {
    const base = { seq: event.seq, time: event.time };
    switch (event.kind) {
      case "text-delta": {
        const index = this._parts.get(data.part);
        if (index === undefined) {
          const made = this._push({ ...base, kind: "text", reasoning: !!data.reasoning, text: data.text ?? "", open: true });
          this._parts.set(data.part, made);
          return made;
        }
        const text = (this.blocks[index].text + (data.text ?? "")).slice(0, TEXT_MAX);
        return this._change(index, { text });
      }
      case "text": {
        const index = this._parts.get(data.part);
        const block = { kind: "text", reasoning: !!data.reasoning, text: data.text ?? "", open: false };
        if (index !== undefined) return this._change(index, block);
        const made = this._push({ ...base, ...block });
        if (data.part) this._parts.set(data.part, made);
        return made;
      }
      case "tool":
        return this._tool(base, data);
      case "tool-output": {
        const index = this._calls.get(data.callID);
        if (index === undefined) return -1;
        return this._change(index, { output: ((this.blocks[index].output ?? "") + (data.text ?? "")).slice(-TEXT_MAX) });
      }
      case "edit":
        return this._edit(base, data);
      case "step":
        this.usage.steps += 1;
        this.usage.input += data.inputTokens ?? 0;
        this.usage.output += data.outputTokens ?? 0;
        this.usage.cost += data.costMicroUSD ?? 0;
        return -1;
      case "error":
        return this._bad(this._push({ ...base, kind: "error", text: data.message ?? "" }));
      case "check": {
        const index = this._push({ ...base, kind: "check", ...data });
        return data.passed ? index : this._bad(index);
      }
      case "refused":
        return this._bad(this._push({ ...base, kind: "refused", text: data.why ?? "" }));
      case "ended":
        this.ended = { ...base, ...data };
        this._close();
        return this._push({ ...base, kind: "ended", ...data });
      case "prompt":
        return this._push({ ...base, kind: "prompt", text: data.text ?? "" });
      default:
        return this._push({ ...base, kind: "note", what: event.kind, data });
    }
  }

  _tool(base, data) {
    const { callID, tool, state, title, input, output, error, exitCode } = data;
    const known = callID ? this._calls.get(callID) : undefined;
    const change = { kind: "tool", callID, tool, state, title, input, error, exitCode };
    if (state !== "running") this.calls += 1;
    const failed = state === "error" || (exitCode !== undefined && exitCode !== null && exitCode !== 0);
    if (known !== undefined) {
      const before = this.blocks[known];
      this._change(known, {
        ...change,
        input: input && Object.keys(input).length ? input : before.input,
        title: title || before.title,
        output: output || (state === "running" ? before.output : before.output ?? ""),
        ended: state === "running" ? "" : base.time,
      });
      return failed ? this._bad(known) : known;
    }
    const made = this._push({ ...base, ...change, output: output ?? "", edits: [], ended: state === "running" ? "" : base.time });
    if (callID) this._calls.set(callID, made);
    return failed ? this._bad(made) : made;
  }

  _edit(base, data) {
    const path = data.path ?? "";
    const edit = { seq: base.seq, path, diff: data.diff ?? "", additions: data.additions ?? 0, deletions: data.deletions ?? 0 };
    const known = this._calls.get(data.callID);
    if (known !== undefined) return this._change(known, { edits: [...(this.blocks[known].edits ?? []), edit] });
    return this._push({ ...base, kind: "tool", tool: "edit", state: "completed", input: { filePath: path }, edits: [edit] });
  }

  _bad(index) {
    if (!this.errors.includes(index)) {
      this.errors.push(index);
      this.errors.sort((a, b) => a - b);
    }
    return index;
  }

  _close() {
    this.blocks.forEach((block, index) => {
      if (block.open) this._change(index, { open: false });
      if (block.kind === "tool" && block.state === "running") this._change(index, { state: "unfinished" });
    });
  }
}

/** Everything of a block that a search looks in, in lower case. */
export function searchText(block) {
  const parts = [block.text, block.tool, block.title, block.output, block.error, block.command, block.message, block.summary];
  if (block.input) parts.push(JSON.stringify(block.input));
  if (block.data) parts.push(JSON.stringify(block.data));
  for (const edit of block.edits ?? []) parts.push(edit.path, edit.diff);
  return parts.filter(Boolean).join("\n").toLowerCase();
}
