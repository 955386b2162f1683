/** Ended calls as a table, and as rows where there is less room. */

import { made } from "../shared/elements.js";
import { blocksOf, Strips } from "./activity_strip.js";
import { hashOf } from "./router.js";
import { callerWords, clockOf, endsBadly, endWords, GOAL_MS, lengthOf, secondsOf } from "./words.js";

/** @typedef {import("./types").Summary} Summary */
/** @typedef {{line: HTMLElement, row: HTMLElement}} Drawn */

const DAY_AND_CLOCK = new Intl.DateTimeFormat(undefined, {
  day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
});
/** Headings, with their classes: those of figures stand at the right. */
const COLUMNS = [
  "Started", "Caller", "Agent", "Length r", "Voices", "Why it ended", "Turns r", "Interr. r", "Tools r",
  "Response r", "p95 r",
];

/**
 * The clock, and before today the day as well.
 *
 * @param {string} moment
 * @param {Date} now
 */
export function whenOf(moment, now) {
  const then = new Date(moment);
  return then.toDateString() === now.toDateString() ? clockOf(moment) : DAY_AND_CLOCK.format(then);
}

export class HistoryTable {
  table = made("table", "wide-only");
  list = made("div", "narrow-only");
  #body = made("tbody");
  #strips = new Strips();
  /** @type {Map<string, Drawn>} */
  #drawn = new Map();
  #day = "";

  constructor() {
    const head = made("thead");
    const headings = made("tr");
    for (const column of COLUMNS) {
      const [heading, isFigure] = column.split(/ (r)$/);
      const cell = made("th", isFigure, heading);
      cell.scope = "col";
      headings.append(cell);
    }
    head.append(headings);
    this.table.setAttribute("aria-label", "Ended calls, newest first");
    this.table.append(head, this.#body);
  }

  /**
   * Show these calls, and no others. What the page knows of them does not change any more.
   *
   * @param {Summary[]} calls
   */
  show(calls) {
    const focused = /** @type {HTMLElement} */ (document.activeElement);
    const now = new Date();
    // What has begun today is told otherwise tomorrow.
    if (this.#day !== now.toDateString()) this.#drawn.clear();
    this.#day = now.toDateString();
    const drawn = calls.map((call) => this.#drawn.get(call.call_id) ?? this.#draw(call, now));
    this.#drawn = new Map(drawn.map((each) => [each.row.dataset.call ?? "", each]));
    this.#body.replaceChildren(...drawn.map(({ line }) => line));
    this.list.replaceChildren(...drawn.map(({ row }) => row));
    this.table.hidden = !calls.length;
    this.#strips.draw();
    if (focused.isConnected) focused.focus({ preventScroll: true });
  }

  /** @param {Summary} call @param {Date} now @returns {Drawn} */
  #draw(call, now) {
    const { ended, call_id: callId } = call;
    const { name, detail } = callerWords(call);
    const shown = {
      name: `${name} ${detail}`.trim(),
      when: whenOf(call.began_at, now),
      length: lengthOf(call.lasts_s),
      agent: call.agent ?? "",
      why: endWords(call),
      tone: endsBadly(call.end_reason) ? "badt" : "",
    };
    const strip = ended ? this.#strip(ended, call.lasts_s) : "";
    const drawn = { line: tableLine(call, shown, strip), row: listRow(call, shown) };
    for (const each of Object.values(drawn)) {
      each.dataset.call = callId;
      const link = each.closest("a") ?? each.querySelector("a");
      if (link) link.href = hashOf({ view: "history", callId });
    }
    return drawn;
  }

  /** @param {import("./types").Ended} ended @param {number} lastsS */
  #strip({ voices }, lastsS) {
    const spoke = (/** @type {[number, number][]} */ times) =>
      lengthOf(times.reduce((sum, [from, to]) => sum + to - from, 0));
    const canvas = made("canvas", "strip-box");
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `Caller spoke ${spoke(voices.caller)}, agent ${spoke(voices.agent)}`);
    this.#strips.add(canvas, lastsS, () => blocksOf(voices));
    return canvas;
  }
}

/** @typedef {{name: string, when: string, length: string, agent: string, why: string, tone: string}} Shown */

/**
 * @param {Summary} call
 * @param {Shown} shown
 * @param {HTMLElement | ""} strip
 */
function tableLine({ ended }, { name, when, length, agent, why, tone }, strip) {
  const line = made("tr");
  /** @type {[string | HTMLElement, string?][]} */
  const cells = [
    [when, "z"], [people("a", name)], [people("span", agent)], [length, "r"], [strip], [why, tone],
  ];
  if (ended) {
    const { turns, interruptions, tools, response_p50_ms: p50, response_p95_ms: p95 } = ended;
    for (const figure of [turns, interruptions, tools]) cells.push([`${figure}`, "r"]);
    for (const ms of [p50, p95]) cells.push([secondsOf(ms), "r"]);
  }
  for (const [content, className] of cells) {
    const cell = made("td", className);
    cell.append(content);
    line.append(cell);
  }
  return line;
}

/** @param {Summary} call @param {Shown} shown */
function listRow({ ended }, { name, when, length, agent, why, tone }) {
  const row = made("a", "call past");
  row.tabIndex = -1;
  row.setAttribute("role", "option");
  const caller = made("span", "c-caller cut");
  caller.append(people("span", name), made("small", "", when));
  const meta = made("span", "c-meta");
  if (agent) meta.append(people("span", agent));
  if (ended) {
    const { turns, response_p50_ms: ms } = ended;
    meta.append(made("span", "", turns === 1 ? "1 turn" : `${turns} turns`), made("span", "grow"));
    if (ms !== null) meta.append(made("span", ms > GOAL_MS ? "c-lat slow" : "c-lat", secondsOf(ms)));
  }
  row.append(caller, made("time", "c-dur", length), made("span", `c-words cut ${tone}`, why), meta);
  return row;
}

/**
 * Text of people, which may be written from right to left.
 *
 * @param {"a" | "span"} tag
 * @param {string} text
 */
function people(tag, text) {
  const element = made(tag, "", text);
  element.dir = "auto";
  return element;
}
