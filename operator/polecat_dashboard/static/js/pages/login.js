// Signing in: by a one-time link, or with a token.
import { html, useEffect, useState } from "../lib.js";
import { post } from "../api.js";
import { ThemeButton } from "./theme.js";

/** The code of a one-time link; out of the address bar and the history at once, whatever comes of it. */
function takeCode() {
  const code = location.pathname === "/login" ? location.hash.slice(1) : "";
  if (code) history.replaceState(null, "", "/login");
  return code;
}

const first = takeCode();

export function Login({ onEntered }) {
  const [busy, setBusy] = useState(!!first);
  const [error, setError] = useState("");
  const [token, setToken] = useState("");

  const enter = async (path, body, refused) => {
    setBusy(true);
    setError("");
    try {
      await post(path, body);
      setToken("");
      await onEntered();
    } catch (problem) {
      setError(problem.status === 401 ? refused : problem.message);
      setBusy(false);
    }
  };
  useEffect(() => {
    const open = (code) => code && enter("/api/login/link", { code }, "This link was used before, or is older than a minute.");
    // A link that is opened where this page is shown already changes nothing but the fragment.
    const changed = () => open(takeCode());
    open(first);
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  const submit = (event) => {
    event.preventDefault();
    enter("/api/login", { token }, "The cluster does not accept this token.");
  };

  return html`<main class="login">
    <div class="login-card">
      <div class="login-head"><img src="/static/icon.svg" alt="" width="44" height="44" /><h1>Polecat</h1><span class="spring"></span><${ThemeButton} /></div>
      ${error && html`<p class="problem" role="alert">${error}</p>`}
      <section>
        <h2>On this machine</h2>
        <p>This opens the page signed in, once:</p>
        <pre><code>polecat dashboard</code></pre>
      </section>
      <section>
        <h2>With a token of the cluster</h2>
        <form onSubmit=${submit}>
          <label for="token">Bearer token</label>
          <input id="token" type="password" autocomplete="off" spellcheck=${false} required value=${token}
            onInput=${(event) => setToken(event.target.value)} placeholder="eyJhbGciOi…" />
          <button class="button button-main" disabled=${busy || !token.trim()}>${busy ? "Asking …" : "Sign in"}</button>
        </form>
        <p class="hint">For a service account: <code>kubectl create token NAME</code>. You see and do what that account may.</p>
      </section>
    </div>
  </main>`;
}
