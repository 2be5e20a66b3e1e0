// The parts of Preact that the page uses, and `html` for templates.
import { h, render, Component, Fragment } from "../vendor/preact.js";
import htm from "../vendor/htm.js";
export { useCallback, useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState } from "../vendor/preact-hooks.js";

export const html = htm.bind(h);
export { h, render, Component, Fragment };

/** A component that is drawn again only when one of its properties is another one. */
export function memo(draw, names) {
  return class extends Component {
    shouldComponentUpdate(next) {
      return names.some((name) => next[name] !== this.props[name]);
    }
    render(props) {
      return draw(props);
    }
  };
}
