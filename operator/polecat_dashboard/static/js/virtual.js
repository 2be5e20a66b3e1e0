// A list of rows of the same height, of which only those in sight are in the document.
import { html, useEffect, useRef, useState } from "./lib.js";

const BEYOND = 12;

export function VirtualList({ items, rowHeight, row, keyOf, class: name, label, role = "list" }) {
  const ref = useRef(null);
  const [range, setRange] = useState([0, 60]);
  const count = items.length;

  useEffect(() => {
    const element = ref.current;
    const scroller = element.closest("[data-scroller]") ?? document.scrollingElement;
    const target = scroller === document.scrollingElement ? window : scroller;
    let frame = 0;
    const look = () => {
      frame = 0;
      const top = scroller === document.scrollingElement ? 0 : scroller.getBoundingClientRect().top;
      const height = scroller === document.scrollingElement ? innerHeight : scroller.clientHeight;
      const above = top - element.getBoundingClientRect().top;
      const first = Math.max(0, Math.floor(above / rowHeight) - BEYOND);
      const last = Math.ceil((above + height) / rowHeight) + BEYOND;
      setRange((before) => (before[0] === first && before[1] === last ? before : [first, last]));
    };
    const soon = () => {
      frame ||= requestAnimationFrame(look);
    };
    look();
    target.addEventListener("scroll", soon, { passive: true });
    addEventListener("resize", soon);
    return () => {
      cancelAnimationFrame(frame);
      target.removeEventListener("scroll", soon);
      removeEventListener("resize", soon);
    };
  }, [count, rowHeight]);

  const first = Math.min(range[0], Math.max(0, count - 1));
  const shown = items.slice(first, Math.max(first, range[1]));
  return html`<div class=${`virtual ${name ?? ""}`} ref=${ref} role=${role} aria-label=${label} style=${{ height: `${count * rowHeight}px` }}>
    ${shown.map(
      (item, index) => html`<div key=${keyOf(item)} class="virtual-row" role="listitem" aria-setsize=${count}
        aria-posinset=${first + index + 1} style=${{ transform: `translateY(${(first + index) * rowHeight}px)`, height: `${rowHeight}px` }}>
        ${row(item)}
      </div>`,
    )}
  </div>`;
}
