// Server-sent events over fetch: unlike EventSource it shows the status of a refusal, and stops when it should.
import { ApiError } from "./api.js";

const SILENT_MS = 40000;

/** Reads until the server ends the connection. `onEvent(kind, data, id)` gets parsed JSON. Throws ApiError. */
export async function readEvents(path, { signal, lastId, onOpen, onEvent }) {
  const own = new AbortController();
  const stop = () => own.abort();
  signal.addEventListener("abort", stop, { once: true });
  let watchdog = setTimeout(stop, SILENT_MS);
  try {
    const headers = { accept: "text/event-stream", ...(lastId ? { "last-event-id": lastId } : {}) };
    const response = await fetch(path, { credentials: "same-origin", cache: "no-store", headers, signal: own.signal });
    if (!response.ok) {
      const body = await response.json().catch(() => null);
      throw new ApiError(response.status, body?.error ?? `HTTP ${response.status}`);
    }
    onOpen?.();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      clearTimeout(watchdog);
      watchdog = setTimeout(stop, SILENT_MS);
      rest += value;
      let end;
      let start = 0;
      while ((end = rest.indexOf("\n\n", start)) >= 0) {
        emit(rest.slice(start, end), onEvent);
        start = end + 2;
      }
      if (start) rest = rest.slice(start);
    }
  } finally {
    clearTimeout(watchdog);
    signal.removeEventListener("abort", stop);
    own.abort();
  }
}

function emit(block, onEvent) {
  let kind = "message";
  let id = "";
  let data = "";
  for (const line of block.split("\n")) {
    if (line.startsWith("data:")) data += line.slice(line[5] === " " ? 6 : 5);
    else if (line.startsWith("event:")) kind = line.slice(6).trim();
    else if (line.startsWith("id:")) id = line.slice(3).trim();
  }
  if (!data) return;
  let value = null;
  try {
    value = JSON.parse(data);
  } catch {
    return;
  }
  onEvent(kind, value, id);
}

/** Waits before the next try; at once when the network comes back. */
export function pause(ms, signal) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      removeEventListener("online", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    addEventListener("online", done, { once: true });
    signal.addEventListener("abort", done, { once: true });
  });
}
