/** What somebody said: words, what of them was not heard, how the voice sounded, how long it took. */

import { expressionList, made, put } from "../shared/elements.js";
import { GOAL_MS, responseWords } from "./words.js";

/** @typedef {import("./types").UtteranceRow} UtteranceRow */
/** @typedef {import("./types").Scores} Scores */

const WAITED = "Time from the end of the caller’s turn to the first sound heard";

/**
 * @param {HTMLElement} item a new row, which has its time
 * @param {UtteranceRow} utterance
 * @param {string} me name of the operator who reads
 * @returns {(row: UtteranceRow) => void} writes what has changed
 */
export function utteranceRow(item, { who, by }, me) {
  if (who === "agent") item.classList.add("by-agent");
  const said = made("span");
  const missed = made("s", "unheard");
  const tail = made("span");
  const interim = made("span", "interim");
  interim.ariaHidden = "true";
  missed.append(made("span", "sr", "Not heard: "), tail);
  const words = made("p");
  words.dir = "auto";
  words.append(said, missed, interim);
  const say = made("div", "say");
  say.append(words);
  const wait = made("span", "lat");
  const name = made("span", who === "caller" ? "who" : `who ${who}`, nameOf(who, by, me));
  name.dir = "auto";
  item.append(name, say, wait);
  /** @type {Scores | null} */
  let heardAs = null;
  return (row) => {
    put(said, row.text && (row.unheard || row.interim) ? `${row.text.trimEnd()} ` : row.text);
    put(tail, row.unheard);
    missed.hidden = !row.unheard;
    put(interim, row.interim);
    interim.hidden = !row.interim;
    fillWait(wait, row);
    if (row.scores === heardAs) return;
    heardAs = row.scores;
    words.nextSibling?.remove();
    if (heardAs) say.append(expressionList(strongestFirst(heardAs)));
  };
}

/** @param {HTMLElement} wait @param {UtteranceRow} row */
function fillWait(wait, { responseMs, isTyped, who }) {
  const isAnswer = responseMs !== null;
  put(wait, isAnswer ? responseWords(responseMs) : isTyped && who === "caller" ? "typed" : "");
  wait.classList.toggle("slow", isAnswer && responseMs > GOAL_MS);
  wait.title = isAnswer ? WAITED : "";
}

/** @param {string} who @param {string | null} by @param {string} me */
function nameOf(who, by, me) {
  if (who !== "operator") return who === "agent" ? "Agent" : "Caller";
  return by === me ? "You" : by || "Operator";
}

/** @param {Scores} scores */
export function strongestFirst(scores) {
  const named = Object.entries(scores).map(([name, score]) => ({ name, score }));
  return named.sort((one, other) => other.score - one.score);
}
