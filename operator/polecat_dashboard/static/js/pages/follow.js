// Reads one attempt's stream into a conversation, and goes on where it was after each interruption.
import { useEffect, useReducer, useRef } from "../lib.js";
import { Conversation } from "../conversation.js";
import { pause, readEvents } from "../events.js";
import { streamPath } from "../router.js";

const DRAW_MS = 100;

/** The conversation of an attempt and how its connection is: `{conversation, status, error}`. */
export function useConversation(ns, bead, attempt) {
  const [, draw] = useReducer((n) => n + 1, 0);
  const held = useRef(null);
  const id = streamPath(ns, bead, attempt);
  if (held.current?.id !== id) held.current = { id, conversation: new Conversation(), status: "connecting", error: "", refused: 0 };
  const state = held.current;
  useEffect(() => {
    const end = new AbortController();
    let timer = 0;
    const soon = () => {
      timer ||= setTimeout(() => {
        timer = 0;
        draw();
      }, DRAW_MS);
    };
    run(state, ns, bead, attempt, end.signal, soon);
    return () => {
      end.abort();
      clearTimeout(timer);
    };
  }, [id]);
  return state;
}

async function run(state, ns, bead, attempt, signal, soon) {
  const path = `/api/streams/${encodeURIComponent(ns)}/${encodeURIComponent(bead)}/${attempt}`;
  const { conversation } = state;
  let failures = 0;
  while (!signal.aborted) {
    let finished = false;
    try {
      await readEvents(`${path}?from=${conversation.lastSeq + 1}`, {
        signal,
        onOpen: () => {
          failures = 0;
          Object.assign(state, { status: "live", error: "", refused: 0 });
          soon();
        },
        onEvent: (kind, data) => {
          if (kind === "end") finished = true;
          else if (kind === "gap") conversation.gap(data.message ?? "Older events are no longer kept.", data.lastSeq);
          else conversation.add(data);
          soon();
        },
      });
    } catch (error) {
      if (signal.aborted) return;
      Object.assign(state, { error: error.message, refused: error.status ?? 0 });
    }
    if (finished) {
      state.status = "ended";
      soon();
      return;
    }
    if ([401, 403].includes(state.refused)) {
      state.status = "refused";
      soon();
      return;
    }
    state.status = state.refused === 404 ? "missing" : "lost";
    soon();
    failures += 1;
    await pause(Math.min(8000, 400 * 2 ** Math.min(failures, 5)), signal);
  }
}
