/** Tables as text for spreadsheets: as RFC 4180 has it, and nothing in it is run as a formula. */

import { endWords } from "./words.js";

/** @typedef {import("./types").Summary} Summary */
/** @typedef {string | number | null | undefined} Cell */

const NEEDS_QUOTES = /[",\r\n]/;
const BEGINS_FORMULA = /^\s*[=+\-@]|^[\t\r]/;
const OF_CALL = /** @type {const} */ ([
  "call_id", "began_at", "lasts_s", "caller", "called", "agent", "end_reason",
]);
const OF_END = /** @type {const} */ ([
  "turns", "interruptions", "tools", "response_p50_ms", "response_p95_ms",
]);

/** @param {Summary[]} calls that have ended */
export function callsAsCsv(calls) {
  const rows = calls.map((call) => [
    ...OF_CALL.map((name) => call[name]),
    endWords(call),
    ...OF_END.map((name) => call.ended?.[name]),
  ]);
  return csvOf([[...OF_CALL, "why_it_ended", ...OF_END], ...rows]);
}

/** @param {Cell[][]} rows */
export function csvOf(rows) {
  return rows.map((row) => `${row.map(written).join()}\r\n`).join("");
}

/** @param {Cell} cell */
function written(cell) {
  if (typeof cell === "number") return cell;
  const text = cell ?? "";
  const plain = BEGINS_FORMULA.test(text) ? `'${text}` : text;
  return NEEDS_QUOTES.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}
