// Dark, light, or what the system prefers.
import { html, useState } from "../lib.js";
import { Icon } from "../ui.js";

const NEXT = { auto: "light", light: "dark", dark: "auto" };
const ICON = { auto: "auto", light: "sun", dark: "moon" };

export function ThemeButton() {
  const [theme, setTheme] = useState(document.documentElement.dataset.theme ?? "auto");
  const change = () => {
    const next = NEXT[theme];
    setTheme(next);
    if (next === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try {
      if (next === "auto") localStorage.removeItem("polecat-theme");
      else localStorage.setItem("polecat-theme", next);
    } catch {
      return; // a browser without storage: it holds for this page
    }
  };
  return html`<button type="button" class="quiet" onClick=${change} aria-label=${`Colours: ${theme}`} title=${`Colours: ${theme}`}>
    <${Icon} name=${ICON[theme]} size=${17} />
  </button>`;
}
