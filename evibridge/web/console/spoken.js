/** What screen readers are told of that happens by itself, and what the title of the page says. */

import { Announcer } from "../shared/announcer.js";
import { made } from "../shared/elements.js";
import { approvalLeft, callerWords, endWords } from "./words.js";

/** @typedef {import("./types").Summary} Summary */
/** @typedef {import("./types").Operator} Operator */
/** @typedef {import("./types").Row} Row */
/** @typedef {{isOver: boolean, rows: Map<number, Row>}} Story */

const SOON_S = 10;
/** So long an alarm takes to be read. */
const ALARM_MS = 3000;
/** More than so many sentences at once are told as a number. */
const MOST_ALARMS = 2;
const LATEST_ROWS = 12;
const KEPT_LINES = 5;
const SPEAKERS = { caller: "Caller", agent: "Agent", operator: "Operator" };

/**
 * The title, which is read in a tab that is not seen.
 *
 * @param {{all: number, needsYou: number}} counts
 */
export function titleWords({ all, needsYou }) {
  const parts = [
    ...(needsYou ? [`${needsYou} ${needsYou === 1 ? "needs" : "need"} you`] : []),
    ...(all ? [`${all} live`] : []),
  ];
  return `${parts.join(", ")}${parts.length ? ": " : ""}evibridge console`;
}

/**
 * What has happened to the call that is open. Pure.
 *
 * @param {Summary} before
 * @param {Summary} after
 * @param {Operator} me
 * @returns {string} "" if it is not worth a word
 */
export function announcement(before, after, me) {
  if (before.state === "ended") return "";
  if (after.state === "ended") {
    return after.end_reason ? `Call ended: ${lowered(endWords(after))}` : "Call ended";
  }
  if (after.taken_over_by !== before.taken_over_by) {
    if (!after.taken_over_by) return "Handed back to the agent";
    return `With ${after.taken_over_by === me.name ? "you" : after.taken_over_by}`;
  }
  if (Boolean(after.held_by) !== Boolean(before.held_by)) return after.held_by ? "On hold" : "Released";
  if (Boolean(after.paused_by) !== Boolean(before.paused_by)) return after.paused_by ? "Paused" : "Resumed";
  const wasLost = before.state === "reconnecting";
  if ((after.state === "reconnecting") !== wasLost) return wasLost ? "Connected again" : "Reconnecting";
  if (after.state !== before.state && after.state === "ending") return "Ending";
  return "";
}

/** @param {string} sentence as it stands behind a colon */
function lowered(sentence) {
  return /^[A-Z][a-z ]/.test(sentence) ? sentence[0].toLowerCase() + sentence.slice(1) : sentence;
}

/** The tools that wait for an operator, each told once, and again when little time is left. Pure. */
export class Alarms {
  /** @type {Map<string, {summary: Summary, told: Map<string, boolean>}>} */
  #waiting = new Map();

  /** @param {Summary} summary of any call, each time that it changes */
  take(summary) {
    const { call_id: id, approvals } = summary;
    const before = this.#waiting.get(id)?.told;
    if (!approvals.length || summary.state === "ended") {
      this.#waiting.delete(id);
      return;
    }
    /** @type {[string, boolean][]} */
    const known = approvals.flatMap(({ tool_call_id: tool }) => {
      const wasLast = before?.get(tool);
      return wasLast === undefined ? [] : [[tool, wasLast]];
    });
    this.#waiting.set(id, { summary, told: new Map(known) });
  }

  /**
   * What has to be told now.
   *
   * @param {Operator} me
   * @param {number} now ms of the server's clock
   * @returns {string} "" for nothing
   */
  due(me, now) {
    /** @type {string[]} */
    const sentences = [];
    for (const { summary, told } of this.#waiting.values()) {
      for (const approval of summary.approvals) {
        const { tool_call_id: id, name } = approval;
        const left = approvalLeft({ ...summary, approvals: [approval] }, now) ?? 0;
        const isSoon = left <= SOON_S;
        const wasSoon = told.get(id);
        if (!left || wasSoon || wasSoon === isSoon) continue;
        told.set(id, isSoon);
        const needs = me.scope === "control" ? "needs your approval" : "needs approval";
        sentences.push(`${callerWords(summary).name}: ${name} ${needs}${isSoon ? `, ${left} s left` : ""}`);
      }
    }
    const isMany = sentences.length > MOST_ALARMS;
    return isMany ? `${sentences.length} tools need approval` : sentences.join(". ");
  }
}

/** The lines of the open call that are final and were not read yet. Pure. */
export class Reading {
  /** @type {Map<number, string>} */
  #read = new Map();

  /**
   * @param {Iterable<Row>} rows
   * @returns {string[]} speaker first
   */
  take(rows) {
    const lines = [];
    for (const row of [...rows].slice(-LATEST_ROWS)) {
      if (row.kind !== "utterance" || row.interim || !row.text) continue;
      const before = this.#read.get(row.key) ?? "";
      this.#read.set(row.key, row.text);
      const more = row.text.startsWith(before) ? row.text.slice(before.length).trim() : "";
      if (more) lines.push(`${row.by ?? SPEAKERS[row.who]}: ${more}`);
    }
    return lines;
  }
}

export class Spoken {
  #status;
  #alarm;
  #aloud = made("div", "sr");
  #alarms = new Alarms();
  #reading = new Reading();
  /** @type {Story | null} */
  #story = null;
  /** @type {Summary | null} */
  #summary = null;

  /**
   * @param {HTMLElement} status the polite line
   * @param {HTMLElement} alarm
   */
  constructor(status, alarm) {
    this.#status = new Announcer(status);
    this.#alarm = new Announcer(alarm, ALARM_MS);
    this.#aloud.setAttribute("aria-live", "polite");
    status.after(this.#aloud);
  }

  /** @param {string} sentence is told when there is time */
  say(sentence) {
    this.#status.say(sentence);
  }

  /** @param {string} sentence interrupts what is being read */
  alert(sentence) {
    this.#alarm.say(sentence);
  }

  /**
   * Calls have changed, or time has passed.
   *
   * @param {{changed: Iterable<string>, get(id: string): Summary | undefined}} calls
   * @param {Operator} me
   * @param {number} now ms of the server's clock
   */
  calls(calls, me, now) {
    for (const id of calls.changed) {
      const summary = calls.get(id);
      if (summary) this.#alarms.take(summary);
    }
    const sentence = this.#alarms.due(me, now);
    if (sentence) this.alert(sentence);
  }

  /**
   * The call that is open has changed, or another one is open.
   *
   * @param {{summary(): Summary | undefined, story: Story | null} | null} call
   * @param {Operator} me
   * @param {boolean} readsAloud
   */
  opened(call, me, readsAloud) {
    const summary = call?.summary() ?? null;
    const isSame = summary?.call_id === this.#summary?.call_id;
    const sentence = summary && this.#summary && isSame ? announcement(this.#summary, summary, me) : "";
    this.#summary = summary;
    if (sentence) this.say(sentence);
    this.#read(call?.story ?? null, readsAloud);
  }

  /** @param {Story | null} story @param {boolean} readsAloud */
  #read(story, readsAloud) {
    if (!story || !readsAloud || story.isOver) {
      this.#story = null;
      return;
    }
    const isNew = story !== this.#story;
    if (isNew) this.#reading = new Reading();
    this.#story = story;
    const lines = this.#reading.take(story.rows.values());
    // What was said before one has opened the call, or asked for it, stands in the transcript.
    if (isNew) return;
    this.#aloud.append(...lines.map((line) => made("p", "", line)));
    while (this.#aloud.childElementCount > KEPT_LINES) this.#aloud.firstElementChild?.remove();
  }
}
