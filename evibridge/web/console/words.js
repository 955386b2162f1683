/** Calls in the words that people read: what they do, why they ended, how long things took. Pure. */

/** @typedef {import("./types").Moment} Moment */
/** @typedef {import("./types").State} State */
/** @typedef {import("./types").Summary} Summary */
/** @typedef {"need"|"bad"|"caller"|"agent"|""} Tone */

/** An answer should not take longer. */
export const GOAL_MS = 800;
const MOST_CHARACTERS = 80;
const CONTROLS = /[\p{Cc}\u200e\u200f\u2028-\u202e\u2066-\u2069]+/gu;
const FROM_THE_RIGHT = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]|[\ud802\ud803\ud83a\ud83b]/;

/** @type {Record<State, [word: string, icon: string, tone: Tone]>} */
const STATES = {
  ringing: ["Ringing", "phone", ""],
  connecting: ["Connecting", "phone", ""],
  listening: ["Listening", "ear", ""],
  caller_speaking: ["Caller speaking", "wave", "caller"],
  agent_speaking: ["Agent speaking", "wave", "agent"],
  tool_running: ["Tool running", "fn", "agent"],
  paused: ["Paused", "quiet", ""],
  held: ["On hold", "hold", ""],
  taken_over: ["With an operator", "man", "caller"],
  reconnecting: ["Reconnecting", "link", "bad"],
  needs_approval: ["Needs approval", "wait", "need"],
  ending: ["Ending", "end", ""],
  ended: ["Ended", "end", ""],
};

/** @type {Record<string, [sentence: string, isBad?: true]>} */
const ENDS = {
  caller_hung_up: ["Caller hung up"],
  agent_hung_up: ["Agent hung up"],
  operator_hung_up: ["Hung up by an operator"],
  transferred: ["Transferred"],
  inactivity: ["Nobody spoke for too long"],
  max_duration: ["Reached the longest time allowed"],
  caller_lost: ["Connection of the caller was lost", true],
  caller_stalled: ["Carrier took no more sound", true],
  evi_unreachable: ["EVI server could not be reached", true],
  evi_refused: ["EVI server refused the chat", true],
  evi_lost: ["EVI server was lost", true],
  chat_ended: ["Chat was ended elsewhere"],
  busy: ["Line was busy"],
  no_answer: ["Nobody answered"],
  not_connected: ["Carrier could not connect the call", true],
  shutdown: ["Service was stopped"],
  fault: ["Service failed: its log says why", true],
};

/** Every reason that a call may end for, as the API writes them. */
export const END_REASONS = Object.keys(ENDS);

/** @param {string} state */
export const isState = (state) => Object.hasOwn(STATES, state);

/** @param {string} state what is not known is told as the state of rest */
const rowOf = (state) => STATES[isState(state) ? /** @type {State} */ (state) : "listening"];

/**
 * What a call does, in two or three words.
 *
 * @param {Summary} summary
 * @param {{name: string}} me the operator who reads it
 */
export function stateWord(summary, me) {
  const { state, paused_by: pausedBy, taken_over_by: takenBy } = summary;
  if (state === "paused" && pausedBy) return `Paused by ${nameFor(pausedBy, me)}`;
  if (state === "taken_over" && takenBy) return `With ${nameFor(takenBy, me)}`;
  return rowOf(state)[0];
}

/**
 * The same with what changes from second to second: "Needs approval, 44 s", "check_stock 3 s".
 *
 * @param {Summary} summary
 * @param {{name: string}} me
 * @param {number} now ms of the server's clock
 */
export function tagline(summary, me, now) {
  const { state, tool } = summary;
  if (state === "ended") return endWords(summary);
  if (state === "needs_approval") {
    const left = approvalLeft(summary, now);
    return left === null ? rowOf(state)[0] : `${rowOf(state)[0]}, ${left} s`;
  }
  if (state !== "tool_running" || !tool) return stateWord(summary, me);
  const runs = Math.floor((now - Date.parse(tool.since)) / 1000);
  return `${inside(tool.name)} ${Math.max(0, runs || 0)} s`;
}

/**
 * Whole seconds until the first of the tools that wait is given up; null if none waits.
 *
 * @param {Summary} summary
 * @param {number} now ms of the server's clock
 */
export function approvalLeft({ approvals, began_at: beganAt, lasts_s: lastsS }, now) {
  if (!approvals?.length) return null;
  const gone = (now - Date.parse(beganAt)) / 1000 - lastsS || 0;
  const left = Math.min(...approvals.map((each) => each.expires_in_s)) - Math.max(0, gone);
  return Math.max(0, Math.ceil(left));
}

/** @param {Summary} summary name of its drawing in the sheet */
export const stateIcon = ({ state }) => rowOf(state)[1];

/** @param {Summary} summary */
export const stateTone = ({ state }) => rowOf(state)[2];

/**
 * Who talks with the agent.
 *
 * @param {Summary} summary
 */
export function callerWords({ caller, kind, call_id: id }) {
  const name = shortened(caller ?? "");
  if (name) return { name, detail: "" };
  return { name: kind === "browser" ? "Browser guest" : "Unknown caller", detail: id.slice(-4) };
}

/**
 * Why a call has ended, and through whom.
 *
 * @param {Pick<Summary, "end_reason"> & Partial<Pick<Summary, "ended">>} summary
 */
export function endWords({ end_reason: reason, ended }) {
  if (reason === "operator_hung_up" && ended?.by) return `Hung up by ${inside(ended.by)}`;
  const to = ended?.transferred_to;
  if (reason === "transferred" && to) return `Transferred to ${inside(to)}`;
  return reasonWords(reason);
}

/** @param {string | null} reason as the API writes it */
export function reasonWords(reason) {
  if (!reason) return "Ended";
  return Object.hasOwn(ENDS, reason) ? ENDS[reason][0] : `Ended: ${inside(reason.replaceAll("_", " "))}`;
}

/** @param {string | null} reason whether something was broken */
export const endsBadly = (reason) => Object.hasOwn(ENDS, reason ?? "") && ENDS[reason ?? ""].length > 1;

/**
 * How long a call lasts by now.
 *
 * @param {Summary} summary
 * @param {number} now ms of the server's clock
 * @returns {number} seconds
 */
export function lastsNow({ state, began_at: beganAt, lasts_s: lastsS }, now) {
  return state === "ended" ? lastsS : Math.max(0, (now - Date.parse(beganAt)) / 1000) || lastsS;
}

/** @param {number} seconds "1:36", or "1:02:09" */
export function lengthOf(seconds) {
  const whole = Math.max(0, Math.floor(seconds)) || 0;
  const minutes = Math.floor(whole / 60);
  const rest = two(whole % 60);
  return minutes < 60 ? `${minutes}:${rest}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${rest}`;
}

/** @param {number | null} ms "0.74 s", as in a column; "" if there is none */
export const secondsOf = (ms) => (ms === null ? "" : `${(ms / 1000).toFixed(2)} s`);

/** @param {number | null} ms "620 ms", or "1.09 s", as in a sentence; "" if there is none */
export function responseWords(ms) {
  return ms !== null && Math.round(ms) < 1000 ? `${Math.round(ms)} ms` : secondsOf(ms);
}

/**
 * The local time, "14:32" or "14:32:08".
 *
 * @param {number | Moment} at ms since 1970, or a moment
 */
export function clockOf(at, withSeconds = false) {
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) return "";
  const parts = [time.getHours(), time.getMinutes(), time.getSeconds()];
  return parts.slice(0, withSeconds ? 3 : 2).map(two).join(":");
}

/**
 * Text of people in one line, and no longer than this; a character of two units is never cut in half.
 *
 * @param {string} text
 */
export function shortened(text, most = MOST_CHARACTERS) {
  // What is far behind is cut off first: the text may be a book.
  const line = text.slice(0, 9 * most).replace(CONTROLS, " ").trim();
  if (line.length <= most) return line;
  return `${line.slice(0, most - 1).replace(/[\ud800-\udbff]$/, "").trimEnd()}…`;
}

/**
 * Text of people within a sentence of ours, whose order it must not turn round.
 *
 * @param {string} text
 */
export function inside(text) {
  const line = shortened(text);
  return FROM_THE_RIGHT.test(line) ? `\u2068${line}\u2069` : line;
}

/** @param {string} name @param {{name: string}} me */
const nameFor = (name, me) => (name === me.name ? "you" : inside(name));

/** @param {number} count */
const two = (count) => String(count).padStart(2, "0");
