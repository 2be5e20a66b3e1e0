// What agents print, made safe to look at: nothing of it becomes markup, moves the cursor or turns the text around.
import { html } from "./lib.js";

const TURNERS = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;
const CONTROLS = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/g;
// Operating system commands, other escape sequences, and colours, in this order.
const ESCAPES = /\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)|\u001b[PX^_][^\u001b]*\u001b\\|\u001b\[([0-9;:]*)([ -/]*[@-~])|\u001b[@-Z\\-_]?/g;

/** Characters that turn the direction of text are written out: code must not look like other code. */
export function visible(text) {
  return text.replace(TURNERS, (c) => `⟨U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

/** Text without terminal codes. */
export function strip(text) {
  return visible(text.replace(ESCAPES, "")).replace(CONTROLS, "");
}

/** A line that a program has written over again and again (progress bars): what is left to see of it. */
function settle(text) {
  return text.replace(/\r\n/g, "\n").replace(/[^\n]*\r(?=[^\n])/g, "").replace(/\r/g, "");
}

/** Text with its colours as spans; everything else that a terminal would do is left out. */
export function ansi(text) {
  const parts = [];
  let style = { fg: null, bold: false, dim: false };
  let last = 0;
  const source = settle(text);
  const push = (piece) => {
    const clean = visible(piece.replace(CONTROLS, ""));
    if (!clean) return;
    const names = [style.fg !== null && `ansi-${style.fg}`, style.bold && "ansi-bold", style.dim && "ansi-dim"];
    const name = names.filter(Boolean).join(" ");
    parts.push(name ? html`<span class=${name}>${clean}</span>` : clean);
  };
  ESCAPES.lastIndex = 0;
  for (const match of source.matchAll(ESCAPES)) {
    push(source.slice(last, match.index));
    last = match.index + match[0].length;
    if (match[2] === "m") style = apply(style, match[1]);
  }
  push(source.slice(last));
  return parts;
}

function apply(before, codes) {
  const style = { ...before };
  const numbers = codes.split(/[;:]/).map(Number);
  for (let i = 0; i < numbers.length; i += 1) {
    const code = numbers[i];
    if (code === 0) Object.assign(style, { fg: null, bold: false, dim: false });
    else if (code === 1) style.bold = true;
    else if (code === 2) style.dim = true;
    else if (code === 22) Object.assign(style, { bold: false, dim: false });
    else if (code >= 30 && code <= 37) style.fg = code - 30;
    else if (code >= 90 && code <= 97) style.fg = code - 90;
    else if (code === 39) style.fg = null;
    else if (code === 38 || code === 48) {
      const skip = numbers[i + 1] === 5 ? 2 : 4;
      if (code === 38 && skip === 2 && numbers[i + 2] < 16) style.fg = numbers[i + 2] % 8;
      i += skip;
    }
  }
  return style;
}
