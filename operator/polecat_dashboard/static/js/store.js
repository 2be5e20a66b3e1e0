// What the page knows: objects by kind, the last lines of agents, the state of the connection.
import { useEffect, useReducer } from "./lib.js";
import { readEvents, pause } from "./events.js";

const KINDS = ["beads", "polecats", "rigs", "towns"];
const HIDDEN_MS = 15000;

export const objects = Object.fromEntries(KINDS.map((kind) => [kind, new Map()]));
export const tails = new Map();
export const connection = {
  status: "connecting", // connecting, live, lost
  loaded: false,
  since: Date.now(),
  error: "",
  skew: 0, // server's clock minus ours, in ms
  live: true, // whether the server hears the API server
  heard: Date.now(),
  kinds: null,
  namespaces: [],
  everywhere: false,
  streams: [],
};

const listeners = new Map();
const versions = new Map();
const changed = new Set();
let scheduled = false;

export function subscribe(topic, listener) {
  if (!listeners.has(topic)) listeners.set(topic, new Set());
  listeners.get(topic).add(listener);
  return () => {
    const all = listeners.get(topic);
    all?.delete(listener);
    if (all && !all.size) listeners.delete(topic);
  };
}

export const version = (topic) => versions.get(topic) ?? 0;

export function touch(topic) {
  versions.set(topic, version(topic) + 1);
  changed.add(topic);
  if (scheduled) return;
  scheduled = true;
  if (document.hidden) setTimeout(flush, 250);
  else requestAnimationFrame(flush);
}

function flush() {
  scheduled = false;
  const topics = [...changed];
  changed.clear();
  for (const topic of topics) for (const listener of [...(listeners.get(topic) ?? [])]) listener();
}

/** Draws the component again when one of the topics has changed. */
export function useTopics(...topics) {
  const [, again] = useReducer((n) => n + 1, 0);
  const key = topics.join(" ");
  useEffect(() => {
    const ends = topics.map((topic) => subscribe(topic, again));
    again();
    return () => ends.forEach((end) => end());
  }, [key]);
  return topics.map(version).join(".");
}

export const serverNow = () => Date.now() + connection.skew;
export const key = (view) => `${view.ns}/${view.name}`;
export const find = (kind, ns, name) => objects[kind].get(`${ns}/${name}`);
export const all = (kind) => [...objects[kind].values()];

function take(kind, data) {
  if (kind === "snapshot") {
    for (const name of KINDS) {
      const map = objects[name];
      map.clear();
      for (const view of data[name]) map.set(key(view), view);
      touch(name);
    }
    connection.loaded = true;
    touch("connection");
  } else if (kind === "changes") {
    for (const change of data) {
      const map = objects[change.kind];
      if (!map) continue;
      if (change.view) map.set(`${change.ns}/${change.name}`, change.view);
      else map.delete(`${change.ns}/${change.name}`);
      if (!change.view && change.kind === "polecats") forgetTails();
      touch(change.kind);
    }
  } else if (kind === "tails") {
    for (const [uid, lines] of Object.entries(data)) {
      tails.set(uid, lines);
      touch(`tail ${uid}`);
    }
  } else if (kind === "pulse") {
    connection.skew = data.now * 1000 - Date.now();
    connection.live = data.live;
    connection.heard = data.heard * 1000 - connection.skew;
    connection.kinds = data.kinds;
    connection.namespaces = data.namespaces;
    connection.everywhere = data.all;
    connection.streams = data.streams;
    touch("connection");
  }
}

function forgetTails() {
  const there = new Set(all("polecats").map((view) => view.uid));
  for (const uid of tails.keys()) if (!there.has(uid)) tails.delete(uid);
}

let wantTails = false;
let current = null;

/** Whether the connection shall carry the last lines of agents. */
export function setTails(wanted) {
  if (wantTails === wanted) return;
  wantTails = wanted;
  current?.abort();
}

/** Follows the cluster until `signal`; `onSignedOut` is called when the user is known no more. */
export async function follow(signal, onSignedOut) {
  let failures = 0;
  let lastId = "";
  while (!signal.aborted) {
    await shown(signal);
    current = new AbortController();
    const stop = () => current.abort();
    signal.addEventListener("abort", stop, { once: true });
    const unwatch = stopWhenHidden(current);
    let told = false;
    try {
      await readEvents(`/api/changes${wantTails ? "?tails=1" : ""}`, {
        signal: current.signal,
        lastId,
        onOpen: () => {
          failures = 0;
          status("live");
        },
        onEvent: (kind, data, id) => {
          if (id) lastId = id;
          if (kind === "signed-out") told = true;
          else take(kind, data);
        },
      });
    } catch (error) {
      if (error.status === 401) told = true;
      else if (!current.signal.aborted) connection.error = error.message;
    } finally {
      unwatch();
      signal.removeEventListener("abort", stop);
    }
    if (told) return onSignedOut();
    if (signal.aborted) return;
    if (current.signal.aborted) continue; // ended by ourselves: hidden, or another set of topics
    status("lost");
    failures += 1;
    await pause(Math.min(10000, 300 * 2 ** Math.min(failures, 6)) * (0.7 + 0.6 * Math.random()), signal);
  }
}

function status(word) {
  if (connection.status !== word) {
    connection.status = word;
    connection.since = Date.now();
    touch("connection");
  }
}

function stopWhenHidden(controller) {
  let timer = 0;
  const look = () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(() => controller.abort(), HIDDEN_MS);
  };
  document.addEventListener("visibilitychange", look);
  look();
  return () => {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", look);
  };
}

function shown(signal) {
  if (!document.hidden || !connection.loaded) return Promise.resolve();
  return new Promise((resolve) => {
    const look = () => {
      if (!document.hidden || signal.aborted) {
        document.removeEventListener("visibilitychange", look);
        resolve();
      }
    };
    document.addEventListener("visibilitychange", look);
    signal.addEventListener("abort", look, { once: true });
  });
}
