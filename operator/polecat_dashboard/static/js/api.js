// Requests to our own server. Errors carry the status and the words that came with it.

export class ApiError extends Error {
  constructor(status, words) {
    super(words);
    this.status = status;
  }
}

let csrf = "";
export function setCsrf(value) {
  csrf = value;
}

async function answer(response) {
  let body = null;
  try {
    body = await response.json();
  } catch {
    body = null;
  }
  if (!response.ok) throw new ApiError(response.status, body?.error ?? `HTTP ${response.status}`);
  return body;
}

export async function get(path, signal) {
  try {
    return await answer(await fetch(path, { credentials: "same-origin", signal }));
  } catch (error) {
    if (error instanceof ApiError || error.name === "AbortError") throw error;
    throw new ApiError(0, "the dashboard can't be reached");
  }
}

async function send(path, body) {
  try {
    return await answer(
      await fetch(path, {
        method: "POST",
        credentials: "same-origin",
        headers: { "content-type": "application/json", "x-polecat-csrf": csrf },
        body: JSON.stringify(body),
      }),
    );
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new ApiError(0, "the dashboard can't be reached");
  }
}

/** Whether what writes must show is another one now: behind a proxy it changes with each start of the dashboard. */
async function renewed() {
  const before = csrf;
  setCsrf((await get("/api/session")).csrf);
  return csrf !== before;
}

export async function post(path, body) {
  try {
    return await send(path, body);
  } catch (error) {
    if (error.status !== 403 || !(await renewed().catch(() => false))) throw error;
    return send(path, body);
  }
}

const known = new Map();
/** What the user may do in a namespace; believed for half a minute. */
export function permissions(namespace) {
  const kept = known.get(namespace);
  if (kept && kept.until > Date.now()) return kept.promise;
  const promise = get(`/api/permissions/${encodeURIComponent(namespace)}`);
  known.set(namespace, { until: Date.now() + 30000, promise });
  promise.catch(() => known.delete(namespace));
  return promise;
}
