// Each name has a colour and a mark of its own, after the thing that it is called by.

const AGENTS = {
  toast: [68, 0.12, "M6 9a4 3.6 0 0 1 4-4h4a4 3.6 0 0 1 2 7v7H8v-7a4 3.6 0 0 1-2-3z"],
  maple: [36, 0.17, "M12 3l2 4 4-1-1 4 4 3-5 2v3h-3v3h-2v-3H8v-3l-5-2 4-3-1-4 4 1z"],
  birch: [95, 0.05, "M9 3v18M15 3v18M9 7h3M12 12h3M9 16h4"],
  shadow: [300, 0.07, "M15 3a9 9 0 1 0 6 13A8 8 0 0 1 15 3z"],
  copper: [52, 0.13, "M5 8h14l-3 9H8zM9 8V5h6v3"],
  ember: [26, 0.19, "M12 21a6 6 0 0 1-6-6c0-4 4-5 4-9 0-1 0-2-.5-3 5 1 8.500 6 8.500 11a6 6 0 0 1-6 7z"],
  frost: [222, 0.1, "M12 3v18M4 7.500l16 9M20 7.500l-16 9M9.500 4.500L12 7l2.500-2.500M9.500 19.500L12 17l2.500 2.500"],
  sage: [150, 0.08, "M12 21V9M12 13C7 13 5 10 5 5c5 0 7 3 7 8zM12 16c0-4 2-7 7-7 0 5-2 7-7 7z"],
  flint: [255, 0.05, "M4 17L9 4l7 3 4 9-6 5z M9 4l2 9-7 4M11 13l9 3"],
  cedar: [18, 0.1, "M12 3l5 7h-3l4 6H6l4-6H7zM12 16v5"],
  dusk: [292, 0.14, "M3 17h18M6 17a6 6 0 0 1 12 0M12 5v3M5 9l2 2M19 9l-2 2M7 21h10"],
  slate: [238, 0.08, "M4 6h16v4H4zM4 10h7v4H4zM11 10h9v4h-9zM4 14h16v4H4z"],
  thorn: [132, 0.15, "M5 20C8 12 13 7 20 4M9 13l-5-1M12 10l-1-6M14 8l6 3M8 16l5 2"],
  drift: [198, 0.1, "M3 8c3-3 6-3 9 0s6 3 9 0M3 13c3-3 6-3 9 0s6 3 9 0M3 18c3-3 6-3 9 0s6 3 9 0"],
  spark: [98, 0.17, "M12 2l2 8 8 2-8 2-2 8-2-8-8-2 8-2z"],
  onyx: [280, 0.03, "M12 3l8 6-8 12L4 9zM4 9h16M12 3L9 9l3 12 3-12z"],
  moss: [122, 0.13, "M4 19a4 4 0 0 1 4-6 5 5 0 0 1 9 1 3 3 0 0 1 3 5zM8 9h.01M12 6h.01M16 9h.01"],
  rust: [42, 0.15, "M12 3l2 2.500 3-.5.5 3L20 10l-1.500 2.500.5 3-3 1L14 19l-2-1.500L10 19l-2-2.500-3-1 .5-3L4 10l2.500-2 .5-3 3 .5zM12 14a3 3 0 1 0 0-6 3 3 0 0 0 0 6z"],
  wren: [78, 0.09, "M3 9l4-1a6 6 0 0 1 11 3c0 5-4 7-7 7H8l3-3c-4 0-6-3-6-5zM18 10l3-2M11 18v3M14 17v4"],
  quartz: [350, 0.11, "M12 2l6 5v9l-6 6-6-6V7zM6 7l6 3 6-3M12 10v12"],
};

/** Hue, chroma and mark of a name; other names get a hue from their letters, and their first letter. */
export function look(name) {
  const base = name.replace(/-\d+$/, "");
  if (AGENTS[base]) {
    const [hue, chroma, mark] = AGENTS[base];
    return { hue, chroma, mark };
  }
  let hash = 7;
  for (const letter of base) hash = (hash * 31 + letter.codePointAt(0)) >>> 0;
  return { hue: hash % 360, chroma: 0.12, mark: null };
}

export function colours(name) {
  const { hue, chroma } = look(name);
  return { "--hue": String(hue), "--chroma": String(chroma) };
}
