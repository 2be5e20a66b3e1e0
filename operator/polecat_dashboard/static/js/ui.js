// Small parts that all pages use.
import { html, useEffect, useRef, useState } from "./lib.js";
import { colours, look } from "./agents.js";
import { serverNow } from "./store.js";
import { moment, short, title } from "./format.js";

const tickers = new Set();
setInterval(() => {
  if (!document.hidden) for (const tick of tickers) tick();
}, 1000);

/** Draws again each second. */
export function useTick() {
  const [, set] = useState(0);
  useEffect(() => {
    const tick = () => set((n) => n + 1);
    tickers.add(tick);
    return () => tickers.delete(tick);
  }, []);
  return serverNow();
}

const watchers = new WeakMap();
const near = new IntersectionObserver((entries) => {
  for (const entry of entries) watchers.get(entry.target)?.(entry.isIntersecting);
}, { rootMargin: "300px" });

/** Whether an element is in sight or soon will be: `[ref, near]`. What nobody sees need not move. */
export function useNear() {
  const ref = useRef(null);
  const [seen, set] = useState(false);
  useEffect(() => {
    const element = ref.current;
    watchers.set(element, set);
    near.observe(element);
    return () => near.unobserve(element);
  }, []);
  return [ref, seen];
}

/** How long ago something was. */
export function Age({ time, format = short, class: name, none = "–" }) {
  const now = useTick();
  if (!time) return html`<span class=${name}>${none}</span>`;
  return html`<time class=${name} datetime=${time} title=${moment(time)}>${format((now - Date.parse(time)) / 1000)}</time>`;
}

/** The mark of an agent in its colour. */
export function Mark({ name, size = 20 }) {
  const { mark } = look(name);
  return html`<svg class="mark" style=${colours(name)} width=${size} height=${size} viewBox="0 0 24 24" aria-hidden="true">
    ${mark
      ? html`<path d=${mark} fill="none" stroke="currentColor" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round" />`
      : html`<text x="12" y="17" text-anchor="middle" font-size="15" font-weight="650" fill="currentColor">${title(name).charAt(0)}</text>`}
  </svg>`;
}

const ICONS = {
  branch: "M6 4v12M6 20a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM18 8a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM18 8c0 5-7 4-11 9",
  heart: "M12 20s-7-4.500-7-10a4 4 0 0 1 7-2.500A4 4 0 0 1 19 10c0 5.500-7 10-7 10z",
  pulse: "M3 12h4l3-8 4 16 3-8h4",
  token: "M12 4c4 0 7 1.300 7 3s-3 3-7 3-7-1.300-7-3 3-3 7-3zM5 7v5c0 1.700 3 3 7 3s7-1.300 7-3V7M5 12v5c0 1.700 3 3 7 3s7-1.300 7-3v-5",
  search: "M10.500 17a6.500 6.500 0 1 0 0-13 6.500 6.500 0 0 0 0 13zM20 20l-4.800-4.800",
  up: "M6 14l6-6 6 6",
  down: "M6 10l6 6 6-6",
  right: "M9 6l6 6-6 6",
  follow: "M12 4v14M6 13l6 6 6-6",
  pause: "M9 5v14M15 5v14",
  play: "M8 5l11 7-11 7z",
  download: "M12 4v11M7 11l5 5 5-5M5 20h14",
  copy: "M9 9h10v11H9zM5 15V4h10",
  link: "M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1",
  sun: "M12 16a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M19 5l-2 2M7 17l-2 2",
  moon: "M20 14A8 8 0 1 1 10 4a6.500 6.500 0 0 0 10 10z",
  auto: "M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18",
  check: "M5 12l5 5L19 7",
  cross: "M6 6l12 12M18 6L6 18",
  plus: "M12 5v14M5 12h14",
  alert: "M12 4l9 16H3zM12 10v4M12 17h.01",
  tool: "M14 7l3-3a5 5 0 0 1-6 7l-6 7-2-2 7-6a5 5 0 0 1 4-6z",
  file: "M7 3h7l4 4v14H7zM14 3v4h4",
  terminal: "M4 5h16v14H4zM8 10l3 2-3 2M13 15h4",
  again: "M20 12a8 8 0 1 1-2.500-5.800M20 3v5h-5",
  out: "M10 5H5v14h5M10 12h10M16 8l4 4-4 4",
};

export function Icon({ name, size = 16 }) {
  return html`<svg class="icon" width=${size} height=${size} viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8"
    stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d=${ICONS[name]} /></svg>`;
}

const TONES = {
  Running: "go", Publishing: "go", Starting: "go", Done: "good", Failed: "bad", BackingOff: "warn", Suspended: "calm",
  Queued: "calm", Waiting: "warn", Pending: "calm", Stopping: "warn",
};

export function State({ state, reason }) {
  return html`<span class=${`chip chip-${TONES[state] ?? "calm"}`} title=${reason && reason !== state ? reason : null}>${state}</span>`;
}

export function Empty({ title: words, children }) {
  return html`<div class="empty"><p class="empty-title">${words}</p>${children}</div>`;
}

export function Loading({ what }) {
  return html`<div class="empty" role="status"><span class="loading" aria-hidden="true"></span><p>Reading ${what} …</p></div>`;
}

/** A button that copies a text. */
export function Copy({ text, label }) {
  const [done, setDone] = useState(false);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      setDone(true);
      setTimeout(() => setDone(false), 1500);
    } catch {
      setDone(false);
    }
  };
  return html`<button type="button" class="quiet copy" onClick=${copy} aria-label=${`Copy ${label}`} title=${`Copy ${label}`}>
    <${Icon} name=${done ? "check" : "copy"} size=${13} />
  </button>`;
}

/** A modal question. `onClose` is called however it is left. */
export function Dialog({ heading, children, onClose }) {
  const ref = useRef(null);
  useEffect(() => {
    const dialog = ref.current;
    dialog.showModal();
    dialog.addEventListener("close", onClose);
    return () => dialog.removeEventListener("close", onClose);
  }, []);
  const outside = (event) => event.target === ref.current && ref.current.close();
  return html`<dialog ref=${ref} onClick=${outside} aria-labelledby="dialog-heading">
    <h2 id="dialog-heading">${heading}</h2>
    ${children}
  </dialog>`;
}

export function Branch({ name }) {
  if (!name) return null;
  return html`<span class="branch"><${Icon} name="branch" size=${13} /><bdi>${name}</bdi></span>`;
}
