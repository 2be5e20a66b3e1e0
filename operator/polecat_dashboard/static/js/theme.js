// Before anything is drawn: the theme that was chosen, else what the system prefers (in the style sheet).
(() => {
  const chosen = (() => { try { return localStorage.getItem("polecat-theme"); } catch { return null; } })();
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
})();
