/** The parts of the page that are there from the beginning. */

import { put } from "../shared/elements.js";

/** @param {string} id */
export function part(id) {
  return /** @type {HTMLElement} */ (document.getElementById(id));
}

/**
 * Mark the view that is shown.
 *
 * @param {"live"|"history"} view
 */
export function showView(view) {
  for (const name of ["live", "history"]) {
    if (name === view) part(`nav-${name}`).setAttribute("aria-current", "page");
    else part(`nav-${name}`).removeAttribute("aria-current");
  }
}

/** @param {{all: number, needsYou: number}} counts of live calls */
export function showCounts({ all, needsYou }) {
  const [live, needs] = /** @type {HTMLCollectionOf<HTMLElement>} */ (part("nav-live").children);
  put(live, String(all));
  needs.hidden = needsYou === 0;
  put(needs.children[1], String(needsYou));
}
