/** How the whole service does, in three figures. */

import { put } from "../shared/elements.js";
import { responseWords } from "./words.js";

/** @typedef {import("./types").Service} Service */

/**
 * @param {Service} service
 * @returns {(string | null)[]} lines, response, calls of today; null for what is not known
 */
export function figuresOf({ lines, max_lines: most, response_p95_ms: p95, calls_since: today }) {
  return [
    `${lines} of ${most}`,
    p95 === null ? null : responseWords(p95),
    today === null ? null : today === 1 ? "1 call" : `${today} calls`,
  ];
}

/**
 * @param {HTMLElement} parent which holds a named figure each
 * @param {Service | null} service null before anything was heard of it
 */
export function showVitals(parent, service) {
  parent.hidden = !service;
  if (!service) return;
  figuresOf(service).forEach((figure, at) => {
    const named = /** @type {HTMLElement} */ (parent.children[at]);
    named.hidden = figure === null;
    put(named.lastElementChild, figure ?? "");
  });
}
