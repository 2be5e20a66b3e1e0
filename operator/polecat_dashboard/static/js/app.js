// The frame around all pages: who is signed in, where to go, how fresh the data is.
import { html, render, useEffect, useState } from "./lib.js";
import { ApiError, get, post, setCsrf } from "./api.js";
import { all, connection, follow, setTails, useTopics } from "./store.js";
import { go, useRoute } from "./router.js";
import { short } from "./format.js";
import { Empty, Icon, Loading, useTick } from "./ui.js";
import { Town } from "./pages/town.js";
import { BeadList } from "./pages/beads.js";
import { BeadPage } from "./pages/bead.js";
import { PolecatPage, StreamPage } from "./pages/stream.js";
import { Places } from "./pages/places.js";
import { Sling } from "./pages/sling.js";
import { Login } from "./pages/login.js";
import { ThemeButton } from "./pages/theme.js";

const TITLES = { town: "Town", beads: "Beads", bead: "Bead", polecat: "Polecat", stream: "Stream", places: "Rigs and towns", sling: "Sling" };

function Freshness() {
  useTopics("connection");
  const now = useTick();
  if (connection.status === "live" && connection.live) {
    return html`<span class="fresh fresh-live" title="Changes arrive as they happen"><i aria-hidden="true"></i>live</span>`;
  }
  const old = short((now - connection.skew - (connection.status === "live" ? connection.heard : connection.since)) / 1000);
  return html`<span class="fresh fresh-lost"><i aria-hidden="true"></i>${connection.loaded ? `${old} old` : "connecting"}</span>`;
}

function Banner() {
  useTopics("connection");
  const now = useTick();
  const lost = connection.status === "lost";
  const away = connection.status === "live" && !connection.live;
  const seconds = (now - connection.skew - (lost ? connection.since : connection.heard)) / 1000;
  if (!(lost || away) || seconds < 2) return null;
  const what = lost ? "No connection to the dashboard" : "The dashboard can't reach the API server";
  return html`<div class="banner" role="status">
    <${Icon} name="alert" />
    <span><strong>${what}.</strong> What you see is ${short(seconds)} old. It comes back by itself.</span>
  </div>`;
}

function Nav({ page }) {
  const link = (name, path, words, current) => html`<a href=${path} aria-current=${current.includes(page) ? "page" : null}>${words}</a>`;
  return html`<nav aria-label="Pages">
    ${link("town", "/", "Town", ["town", "polecat"])}
    ${link("beads", "/beads", "Beads", ["beads", "bead", "stream"])}
    ${link("places", "/places", html`Rigs <span class="wide-only">& towns</span>`, ["places"])}
  </nav>`;
}

function User({ session, onSignedOut }) {
  const name = session.user.replace(/^system:serviceaccount:[^:]+:/, "");
  const leave = async () => {
    await post("/api/logout", {}).catch(() => null);
    go("/login", { replace: true });
    onSignedOut();
  };
  return html`<span class="user">
    <span class="user-name" title=${session.user}><bdi>${name}</bdi></span>
    ${session.canSignOut && html`<button type="button" class="quiet" onClick=${leave} title="Sign out" aria-label="Sign out"><${Icon} name="out" /></button>`}
  </span>`;
}

function Page({ route }) {
  useTopics("connection");
  if (connection.loaded && connection.kinds && !connection.kinds.length) {
    return html`<${Empty} title="Nothing here is for you to see.">
      <p>You are signed in, but may not list beads, polecats, rigs or towns anywhere. Somebody who may grant rights can bind
      you to the ClusterRole <code>polecat-viewer</code> or <code>polecat-editor</code>.</p>
    <//>`;
  }
  if (!connection.loaded && route.page !== "sling") return html`<${Loading} what="the cluster" />`;
  const [first, second, third] = route.parts;
  switch (route.page) {
    case "town": return html`<${Town} />`;
    case "beads": return html`<${BeadList} />`;
    case "bead": return html`<${BeadPage} key=${route.path} ns=${first} name=${second} />`;
    case "polecat": return html`<${PolecatPage} key=${route.path} ns=${first} name=${second} />`;
    case "stream": return html`<${StreamPage} key=${route.path} ns=${first} bead=${second} attempt=${Number(third)} />`;
    case "places": return html`<${Places} />`;
    case "sling": return html`<${Sling} />`;
    default: return html`<${Empty} title="There is no such page."><p><a href="/">Back to the town</a></p><//>`;
  }
}

function Shell({ session, onSignedOut }) {
  const route = useRoute();
  useEffect(() => {
    const end = new AbortController();
    follow(end.signal, onSignedOut);
    return () => end.abort();
  }, []);
  useEffect(() => setTails(route.page === "town"), [route.page]);
  useEffect(() => {
    const name = route.parts[1] ?? route.parts[0];
    document.title = `${name ? `${name} · ` : ""}${TITLES[route.page] ?? "Polecat"} · Polecat`;
  }, [route.path]);
  useEffect(() => {
    const keys = (event) => {
      if (event.target.closest?.("input, textarea, select, dialog") || event.metaKey || event.ctrlKey || event.altKey) return;
      const path = { t: "/", b: "/beads", r: "/places", s: "/sling" }[event.key];
      if (path) go(path);
    };
    addEventListener("keydown", keys);
    return () => removeEventListener("keydown", keys);
  }, []);
  return html`<a class="skip" href="#main">Skip to the content</a>
    <header class="top">
      <a class="brand" href="/" aria-label="Polecat, to the town"><img src="/static/icon.svg" alt="" width="26" height="26" /><span>Polecat</span></a>
      <${Nav} page=${route.page} />
      <span class="spring"></span>
      <${Freshness} />
      <a class="button button-main" href="/sling" aria-label="Sling new beads"><${Icon} name="plus" /><span>Sling</span></a>
      <${ThemeButton} />
      <${User} session=${session} onSignedOut=${onSignedOut} />
    </header>
    <${Banner} />
    <main id="main" class=${`page page-${route.page}`} tabindex="-1"><${Page} route=${route} /></main>`;
}

function App() {
  const [session, setSession] = useState(null);
  const [state, setState] = useState("asking"); // asking, out, in, away
  const enter = (found) => {
    setCsrf(found.csrf);
    setSession(found);
    setState("in");
  };
  const ask = async () => {
    try {
      enter(await get("/api/session"));
    } catch (error) {
      const refused = error instanceof ApiError && error.status === 401;
      // Who is about to sign in is left alone, whatever the network does.
      setState((before) => (refused ? "out" : before === "out" ? before : "away"));
    }
  };
  useEffect(() => {
    if (location.pathname === "/login") setState("out");
    else ask();
  }, []);
  useEffect(() => {
    // Signed in by a link in another tab, or reachable again: the page goes on where it was.
    if (state !== "away" && !(state === "out" && location.pathname !== "/login")) return undefined;
    const timer = setInterval(() => !document.hidden && ask(), 3000);
    return () => clearInterval(timer);
  }, [state]);
  const entered = async () => {
    if (location.pathname === "/login") go("/", { replace: true });
    await ask();
  };
  if (state === "in") return html`<${Shell} session=${session} onSignedOut=${() => setState("out")} />`;
  if (state === "out") return html`<${Login} onEntered=${entered} />`;
  if (state === "away") return html`<main class="alone"><${Empty} title="The dashboard can't be reached just now."><p>Trying again …</p><//></main>`;
  return html`<main class="alone"><${Loading} what="who you are" /></main>`;
}

render(html`<${App} />`, document.getElementById("app"));
