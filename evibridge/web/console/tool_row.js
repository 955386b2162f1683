/** A call of a function: one line, which opens to its arguments and what the model was told. */

import { button, icon, made, put, setIcon } from "../shared/elements.js";
import { lengthOf } from "./words.js";

/** @typedef {import("./types").ToolRow} ToolRow */

const LINE_CHARS = 300;
const FIRST_CHARS = 2_000;
const PIECE_CHARS = 20_000;
const ONE_LINE_CHARS = 80;
const MAX_INDENT = 20;
const ICONS = { waiting: "wait", running: "ring", done: "fn", failed: "fn" };
const PATHS = { socket: "chat socket", mirror: "mirror", webhook: "webhook" };
/** @type {Record<string, string>} */
const OUTCOMES = {
  answered: "answered once",
  superseded: "somebody else answered first",
  cancelled: "cancelled",
};
/** Texts and what is empty stay whole, spaces go. */
const JSON_TOKENS = /"(?:[^"\\]|\\.)*"|\{\s*\}|\[\s*\]|[{}[\],:]|\s+/g;

/**
 * @param {HTMLElement} item a new row, which has its time
 * @returns {(row: ToolRow, nowS: number) => void} writes what has changed; `nowS` is in seconds of the call
 */
export function toolRow(item) {
  const drawing = icon("fn", true);
  const name = made("code", "k");
  const line = made("code", "cut grow muted");
  const took = made("span", "dur");
  const chevron = icon("chev", true);
  chevron.classList.add("chev");
  const summary = made("summary");
  summary.tabIndex = -1;
  summary.append(drawing, name, line, took, chevron);
  const details = made("details", "tcall");
  details.append(summary);
  item.append(details);
  /** @type {ToolRow | null} */
  let latest = null;
  let told = "";
  const fill = () => {
    const facts = details.open && latest ? factsOf(latest) : [];
    const now = JSON.stringify(facts.map(([, text]) => [text.length, text.slice(0, FIRST_CHARS)]));
    if (now === told) return;
    told = now;
    summary.nextSibling?.remove();
    if (facts.length) details.append(listOf(facts));
  };
  details.addEventListener("toggle", fill);
  return (row, nowS) => {
    latest = row;
    setIcon(drawing, ICONS[row.state]);
    drawing.classList.toggle("spin", row.state === "running");
    details.classList.toggle("failed", row.state === "failed");
    put(name, row.name);
    put(line, lineOf(row));
    put(took, tookWords(row, nowS));
    fill();
  };
}

/** @param {ToolRow} row */
function lineOf({ state, result, parameters }) {
  const text = state === "failed" && result ? `The model was told: ${result}` : parameters;
  return text.slice(0, LINE_CHARS);
}

/**
 * How long a function took, or takes by now.
 *
 * @param {Pick<ToolRow, "state" | "durationMs" | "atS">} tool
 * @param {number} nowS
 */
export function tookWords({ state, durationMs, atS }, nowS) {
  if (state === "waiting") return "waits";
  if (state === "running") return `${Math.max(0, Math.floor(nowS - atS))} s`;
  if (durationMs === null) return "";
  if (Math.round(durationMs) < 1000) return `${Math.round(durationMs)} ms`;
  const seconds = Math.round(durationMs / 100) / 10;
  return seconds < 60 ? `${seconds.toFixed(1)} s` : lengthOf(seconds);
}

/**
 * What an open row shows: labels and texts.
 *
 * @param {Pick<ToolRow, "parameters" | "result" | "path" | "outcome" | "decision">} tool
 * @returns {[label: string, text: string, isCode?: boolean][]}
 */
export function factsOf({ parameters, result, path, outcome, decision }) {
  /** @type {[string, string, boolean?][]} */
  const facts = [["Arguments", parameters, true]];
  if (result !== null) facts.push(["Result", result, true]);
  const ending = outcome && (OUTCOMES[outcome] ?? `failed: ${outcome}`);
  facts.push(["Came by", ending ? `${PATHS[path]}, ${ending}` : PATHS[path]]);
  if (decision) facts.push(["Decision", decision]);
  return facts;
}

/** @param {[string, string, boolean?][]} facts */
function listOf(facts) {
  const list = made("dl");
  for (const [label, text, isCode] of facts) {
    const value = made("dd", "", isCode ? "" : text);
    if (isCode) showText(value, prettyJson(text));
    list.append(made("dt", "", label), value);
  }
  return list;
}

/** @param {HTMLElement} place @param {string} text */
function showText(place, text) {
  const first = pieceEnd(text, 0, FIRST_CHARS);
  place.append(made("code", "", text.slice(0, first)));
  if (first === text.length) return;
  const label = `Show all ${sizeWords(text.length)}`;
  const more = button({ label, className: "btn sm", onPress: () => showRest(place, more, text, first) });
  place.append(more);
}

/**
 * Each piece is laid out by itself, so that a long text does not hold up a frame.
 *
 * @param {HTMLElement} place
 * @param {HTMLElement} more
 * @param {string} text
 * @param {number} from
 */
function showRest(place, more, text, from) {
  more.hidden = true;
  if (from >= text.length || !place.isConnected) return;
  const end = pieceEnd(text, from, PIECE_CHARS);
  place.append(made("code", "piece", text.slice(from, end)));
  requestAnimationFrame(() => showRest(place, more, text, end));
}

/**
 * Where a piece of a text ends that is at most so long: never within a character.
 *
 * @param {string} text
 * @param {number} from
 * @param {number} size
 */
export function pieceEnd(text, from, size) {
  const end = Math.min(text.length, from + size);
  return end < text.length && /[\ud800-\udbff]/.test(text[end - 1]) ? end - 1 : end;
}

/** @param {number} bytes */
export function sizeWords(bytes) {
  const kilobytes = Math.round(bytes / 100) / 10;
  return kilobytes < 1000 ? `${kilobytes.toFixed(1)} kB` : `${(kilobytes / 1000).toFixed(1)} MB`;
}

/**
 * JSON text on lines of its own. Its values stay as they were written: a parser would round long numbers.
 *
 * @param {string} text
 */
export function prettyJson(text) {
  if (text.length <= ONE_LINE_CHARS || text.length >= PIECE_CHARS || !isJson(text)) return text;
  let depth = 0;
  const line = (/** @type {number} */ deeper) => {
    depth += deeper;
    return `\n${"  ".repeat(Math.min(depth, MAX_INDENT))}`;
  };
  return text.replace(JSON_TOKENS, (token) => {
    if (token === ":") return ": ";
    if (token === ",") return token + line(0);
    if (/^[{[]$/.test(token)) return token + line(1);
    return /^[}\]]$/.test(token) ? line(-1) + token : token.trim();
  });
}

/** @param {string} text */
function isJson(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
