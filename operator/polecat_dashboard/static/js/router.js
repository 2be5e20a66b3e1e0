// Addresses of the page. Links are ordinary ones; clicks on them change the address without loading anew.
import { useEffect, useState } from "./lib.js";

const PATTERNS = [
  ["town", /^\/$/],
  ["beads", /^\/beads$/],
  ["bead", /^\/beads\/([^/]+)\/([^/]+)$/],
  ["polecat", /^\/polecats\/([^/]+)\/([^/]+)$/],
  ["stream", /^\/streams\/([^/]+)\/([^/]+)\/(\d+)$/],
  ["places", /^\/places$/],
  ["sling", /^\/sling$/],
  ["login", /^\/login$/],
];

export function parse(path) {
  for (const [page, pattern] of PATTERNS) {
    const match = pattern.exec(path);
    if (match) return { page, parts: match.slice(1).map(decodeURIComponent), path };
  }
  return { page: "missing", parts: [], path };
}

export function go(path, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", path);
  dispatchEvent(new Event("polecat-route"));
  if (!path.includes("#")) scrollTo(0, 0);
}

export function useRoute() {
  const [route, setRoute] = useState(() => parse(location.pathname));
  useEffect(() => {
    const change = () => setRoute((before) => (before.path === location.pathname ? before : parse(location.pathname)));
    const click = (event) => {
      const link = event.target.closest?.("a[href]");
      if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
      if (link.origin !== location.origin || link.target || link.hasAttribute("download")) return;
      if (link.pathname === location.pathname && link.hash) return;
      if (parse(link.pathname).page === "missing") return;
      event.preventDefault();
      go(link.pathname + link.search + link.hash);
    };
    addEventListener("popstate", change);
    addEventListener("polecat-route", change);
    document.addEventListener("click", click);
    return () => {
      removeEventListener("popstate", change);
      removeEventListener("polecat-route", change);
      document.removeEventListener("click", click);
    };
  }, []);
  return route;
}

const part = encodeURIComponent;
export const beadPath = (ns, name) => `/beads/${part(ns)}/${part(name)}`;
export const polecatPath = (ns, name) => `/polecats/${part(ns)}/${part(name)}`;
export const streamPath = (ns, bead, attempt) => `/streams/${part(ns)}/${part(bead)}/${attempt}`;
