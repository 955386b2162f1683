/** The live calls, in the order in which they stand in the list. Pure: time comes from the clock. */

import { GOAL_MS, isState } from "./words.js";

/** @typedef {import("./types").Summary} Summary */
/** @typedef {import("./types").Told} Told */
/** @typedef {"caller"|"agent"|null} Speaker */
/**
 * @typedef {object} Entry
 * @property {Summary} summary
 * @property {number} rank
 * @property {number} beganAt
 * @property {number | null} endedAt when it was first known to be over
 * @property {{at: number, who: Speaker}[]} voices who speaks from when on, of the last minute
 */
/**
 * @typedef {object} Question
 * @property {string} [filter] `all`, `needs_you`, `slow`, or an agent's name
 * @property {string} [query] words that all have to be found
 * @property {ReadonlySet<string> | null} [found] ids that belong to the query as well
 */

const SECONDS = 60;
const SHOWN_ENDED_MS = 3000;
/** The same, while the list is held: nothing moves below a pointer that is about to press. */
const HELD_ENDED_MS = 60_000;
/** With a longer silence before a snapshot, nobody knows who has spoken meanwhile. */
const UNSEEN_MS = 2000;
/** @type {Record<string, number>} */
const RANKS = { needs_approval: 0, reconnecting: 1, taken_over: 2 };
const LAST_RANK = 3;
/** @type {Record<string, Speaker>} */
const SPEAKERS = { caller_speaking: "caller", agent_speaking: "agent" };

/** @param {Summary} summary */
const needsYou = ({ state }) => state === "needs_approval";
/** @param {Summary} summary */
const isSlow = ({ response_ms: ms }) => ms !== null && ms > GOAL_MS;

export class LiveCalls {
  /**
   * Ids of calls that are told otherwise than before; the reader empties it.
   * @type {Set<string>}
   */
  changed = new Set();
  #clock;
  /** @type {Map<string, Entry>} */
  #calls = new Map();
  /**
   * Ids as they stand in the list.
   * @type {Set<string>}
   */
  #order = new Set();
  #isSorted = true;
  /** @type {string | null} */
  #held = null;
  #heardAt = 0;
  /** @type {Summary[] | null} */
  #rows = null;
  #question = "";
  /** @type {Question["found"]} */
  #found = null;
  /** @type {Set<string>} */
  #shown = new Set();

  /** @param {{heard(at: string): void, now(): number}} clock of the server */
  constructor(clock) {
    this.#clock = clock;
  }

  /** @param {Told} told messages that are no summaries are passed over */
  take(told) {
    const isSnapshot = told.type === "snapshot";
    if (!(isSnapshot || told.type === "summaries") || !Array.isArray(told.calls)) return;
    this.#clock.heard(told.at);
    const at = Date.parse(told.at) || this.#clock.now();
    const calls = told.calls.filter((call) => typeof call?.call_id === "string");
    if (isSnapshot) this.#void(new Set(calls.map((call) => call.call_id)), at);
    for (const call of calls) this.#put(call, at);
    this.#heardAt = at;
    this.#rows = null;
  }

  /** @param {string} id @returns {Summary | undefined} */
  get(id) {
    return this.#calls.get(id)?.summary;
  }

  /**
   * The calls that belong to a question, in order: those that need you, broken ones, those that were taken
   * over, then by start. It is the same array until something has changed.
   *
   * @param {Question & {me?: unknown}} question
   * @returns {Summary[]}
   */
  rows({ filter = "all", query = "", found = null }) {
    const question = `${filter}\n${query}`;
    const isSame = question === this.#question;
    if (this.#rows && isSame && found === this.#found) return this.#rows;
    const belongs = belongsTo(filter, query, found);
    const stays = (/** @type {Summary} */ call) =>
      isSame && (this.#held !== null || call.state === "ended") && this.#shown.has(call.call_id);
    this.#sort();
    const calls = [...this.#order].map((id) => /** @type {Entry} */ (this.#calls.get(id)).summary);
    this.#rows = calls.filter((call) => belongs(call) || stays(call));
    this.#question = question;
    this.#found = found;
    this.#shown = new Set(this.#rows.map((call) => call.call_id));
    return this.#rows;
  }

  /** How many calls go on. */
  counts() {
    const live = this.live();
    return { all: live.length, needsYou: live.filter(needsYou).length, slow: live.filter(isSlow).length };
  }

  /** Names of the agents of calls that go on, in the order of letters. */
  agents() {
    const names = new Set(this.live().map(({ agent }) => agent ?? ""));
    names.delete("");
    return [...names].sort((one, other) => one.localeCompare(other));
  }

  /**
   * How much each side spoke in each of the last 60 seconds, from 0 to 1; the newest comes last.
   *
   * @param {string} id
   */
  activity(id) {
    const lanes = { caller: new Array(SECONDS).fill(0), agent: new Array(SECONDS).fill(0) };
    const now = this.#clock.now();
    const begin = Math.ceil(now / 1000) - SECONDS;
    const voices = this.#calls.get(id)?.voices ?? [];
    voices.forEach(({ at, who }, index) => {
      const until = Math.min(voices[index + 1]?.at ?? now, now);
      if (who) fill(lanes[who], at / 1000 - begin, until / 1000 - begin);
    });
    return lanes;
  }

  /**
   * As long as pointer or focus is in the list, no row changes its place and none leaves by a filter; new
   * ones come last.
   *
   * @param {string | null} callId the row under the pointer, which stays even if its call is over; null
   *   lets them go
   */
  holdOrder(callId) {
    if (callId === null && this.#held !== null) this.#rows = null;
    this.#held = callId;
  }

  /** Calls that were shown as ended for a while leave the list. Returns whether one has. */
  sweep() {
    const now = this.#clock.now();
    const before = this.#calls.size;
    const shownMs = this.#held === null ? SHOWN_ENDED_MS : HELD_ENDED_MS;
    for (const [id, { endedAt }] of this.#calls) {
      if (endedAt === null || id === this.#held || Math.abs(now - endedAt) < shownMs) continue;
      this.#calls.delete(id);
      this.#order.delete(id);
      this.changed.delete(id);
      this.#rows = null;
    }
    return this.#calls.size < before;
  }

  /** Those that go on, in no order. */
  live() {
    return [...this.#calls.values()].flatMap(({ summary }) => (summary.state === "ended" ? [] : summary));
  }

  /** @param {Set<string>} live ids; the other calls have ended unseen @param {number} at */
  #void(live, at) {
    for (const [id, { summary, endedAt, voices }] of this.#calls) {
      if (at - this.#heardAt > UNSEEN_MS) speak(voices, null, this.#heardAt);
      if (endedAt === null && !live.has(id)) this.#put({ ...summary, state: "ended" }, at);
    }
  }

  /** @param {Summary} told @param {number} at */
  #put(told, at) {
    const { call_id: id } = told;
    const state = isState(told.state) ? told.state : "listening";
    const isOver = state === "ended";
    const known = this.#calls.get(id);
    const voices = known?.voices ?? [];
    speak(voices, SPEAKERS[state] ?? null, at);
    const entry = {
      summary: { ...told, state, approvals: told.approvals ?? [] },
      rank: isOver && known ? known.rank : RANKS[state] ?? LAST_RANK,
      beganAt: Date.parse(told.began_at) || 0,
      endedAt: isOver ? known?.endedAt ?? at : null,
      voices,
    };
    if (known?.rank !== entry.rank || known.beganAt !== entry.beganAt) this.#isSorted = false;
    this.#calls.set(id, entry);
    this.#order.add(id);
    this.changed.add(id);
  }

  #sort() {
    if (this.#isSorted || this.#held !== null) return;
    const entries = [...this.#calls].sort(
      ([id, one], [otherId, other]) =>
        one.rank - other.rank || one.beganAt - other.beganAt || (id < otherId ? -1 : 1),
    );
    this.#order = new Set(entries.map(([id]) => id));
    this.#isSorted = true;
  }
}

/**
 * @param {string} filter
 * @param {string} query
 * @param {Question["found"]} found
 * @returns {(call: Summary) => boolean}
 */
function belongsTo(filter, query, found) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const passes = (/** @type {Summary} */ call) => {
    if (filter === "all") return true;
    if (filter === "needs_you") return needsYou(call);
    return filter === "slow" ? isSlow(call) : call.agent === filter;
  };
  const isFound = (/** @type {Summary} */ call) => {
    const text = textOf(call);
    return words.every((word) => text.includes(word));
  };
  return (call) => passes(call) && (!words.length || isFound(call) || !!found?.has(call.call_id));
}

/** @param {Summary} call what a search reads of it */
function textOf(call) {
  const { call_id: id, caller, called, agent, tool, approvals, last_line: line } = call;
  const tools = [tool, ...approvals].map((each) => each?.name);
  const people = [call.paused_by, call.held_by, call.taken_over_by];
  return [id, caller, called, agent, line?.text, ...people, ...tools].join("\n").toLowerCase();
}

/**
 * @param {Entry["voices"]} voices
 * @param {Speaker} who speaks from now on
 * @param {number} at ms
 */
function speak(voices, who, at) {
  const last = voices.at(-1);
  if ((last?.who ?? null) !== who) voices.push({ at: Math.max(at, last?.at ?? at), who });
  while (voices.length > 1 && voices[1].at < at - (SECONDS + 1) * 1000) voices.shift();
}

/** @param {number[]} lane @param {number} from second @param {number} to second */
function fill(lane, from, to) {
  for (let second = Math.max(0, Math.floor(from)); second < Math.min(SECONDS, to); second += 1) {
    const share = Math.min(to, second + 1) - Math.max(from, second);
    lane[second] = Math.min(1, lane[second] + share);
  }
}
