/** Something that happened in the call: a drawing, the fact, and what else there is to say of it. */

import { icon, made, put, setIcon } from "../shared/elements.js";

/** @typedef {import("./types").EventRow} EventRow */

/**
 * @param {HTMLElement} item a new row, which has its time
 * @returns {(row: EventRow) => void} writes what has changed
 */
export function eventRow(item) {
  item.classList.add("ev");
  const drawing = icon("", true);
  const fact = made("b");
  const rest = made("bdi");
  const what = made("span", "what");
  fact.dir = "auto";
  what.append(drawing, fact, " ", rest);
  item.append(what);
  return (row) => {
    setIcon(drawing, row.icon);
    put(fact, row.fact);
    put(rest, row.rest);
  };
}
