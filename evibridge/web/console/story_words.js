/** What happens in a call beside the talk, in the words of its transcript: icon, fact, rest. Pure. */

import { endWords, inside, shortened } from "./words.js";

/** @typedef {import("./types").Told} Told */
/** @typedef {[icon: string, fact: string, rest: string]} Words */

/** Who gives a command by the buttons of the caller's page. */
const CALLER = "the caller";

/** @type {Record<string, (text: string) => Words>} by the command; the name stands before the fact */
const COMMANDS = {
  say: (text) => ["send", "had this said", quoted(shortened(text))],
  inject: (text) => ["send", "wrote for the caller", quoted(shortened(text))],
  whisper: (text) => ["note", "whispered", quoted(text)],
  context: (text) =>
    text ? ["note", "gave context", quoted(text)] : ["note", "took back the context.", ""],
  variables: (text) => ["note", "set variables.", text],
  send: (text) => ["send", "sent a message to the chat.", text],
  transfer: (text) => ["fwd", "transferred the call", text && `to ${text}`],
  hangup: () => ["end", "hung up.", ""],
  attach: () => ["link", "joined the chat.", ""],
};

/**
 * What the command has done that stands first; the last is told if nobody is known to have given it.
 *
 * @type {Record<string, [command: string, icon: string, fact: string, alone: string]>}
 */
const EFFECTS = {
  agent_paused: ["pause", "quiet", "paused the agent.", "Agent paused."],
  agent_resumed: ["resume", "play", "resumed the agent.", "Agent resumed."],
  call_held: ["hold", "hold", "put the call on hold.", "Call on hold."],
  call_released: ["release", "play", "took the call off hold.", "Call off hold."],
};

/** @type {Record<string, (told: any, me: string) => Words | null>} `from` is who had the call */
const EVENTS = {
  call_dialled: ({ by, to }, me) => ["phone", `${nameOf(by, me)} called`, textIn(to)],
  call_began: ({ kind, direction }) => {
    if (kind === "sidecar") return ["link", "Chat joined.", ""];
    if (direction === "outbound") return ["phone", "Answered.", ""];
    return ["phone", "Call answered", kind === "browser" ? "in a browser" : ""];
  },
  filler_played: () => ["wait", "Caller was told to wait.", ""],
  caller_muted: ({ is_muted: isMuted }) =>
    isMuted ? ["micoff", "Caller muted.", ""] : ["mic", "Caller unmuted.", ""],
  digits_sent: ({ digits }) => ["keys", "Keys sent.", textIn(digits)],
  recording_failed: ({ why }) => ["x", "Recording failed.", textIn(why)],
  server_reported_error: ({ text, slug }) => ["x", "EVI server error.", textIn(text) || textIn(slug)],
  call_taken_over: ({ by }, me) => ["man", `${nameOf(by, me)} took over.`, "The agent is paused."],
  call_handed_back: ({ by, from }, me) =>
    textIn(by)
      ? ["man", `${nameOf(by, me)} handed back.`, "The agent goes on."]
      : ["man", "Handed back:", `nothing was seen of ${from === me ? "you" : inside(from)} for a minute.`],
};

/**
 * An event that needs none of those before it; null if it is no news.
 *
 * @param {Told & {from?: string}} told @param {string} me
 */
export function ofEvent(told, me) {
  return Object.hasOwn(EVENTS, told.type) ? EVENTS[told.type](told, me) : null;
}

/** @param {Told} told a `command_given` @param {string} me @returns {Words | null} */
export function ofCommand({ command, by, text }, me) {
  if (!Object.hasOwn(COMMANDS, command)) return null;
  const [icon, fact, rest] = COMMANDS[command](textIn(text));
  return [icon, `${nameOf(by, me)} ${fact}`, rest];
}

/**
 * What pausing or holding has done; null if it is part of taking a call over, or of handing it back.
 *
 * @param {string} type @param {{command: string, by: string} | null} cause @param {string} me
 * @returns {Words | null}
 */
export function ofEffect(type, cause, me) {
  const [command, icon, fact, alone] = EFFECTS[type];
  if (cause?.command === command) return [icon, `${nameOf(cause.by, me)} ${fact}`, ""];
  return cause?.command === "takeover" || cause?.command === "handback" ? null : [icon, alone, ""];
}

/** @param {number} heardMs @param {number} sentMs @returns {Words} */
export function ofInterruption(heardMs, sentMs) {
  const heard = `${(heardMs / 1000).toFixed(1)} of ${(sentMs / 1000).toFixed(1)} s heard`;
  return ["cutin", "Caller interrupted.", sentMs ? heard : ""];
}

/** @param {string} keys @returns {Words} */
export function ofKeys(keys) {
  return ["keys", `${keys.length} key${keys.length === 1 ? "" : "s"} pressed.`, keys];
}

/** @param {number} missed @returns {Words} */
export function ofGap(missed) {
  return ["link", "Updates skipped.", missed ? `${missed}` : ""];
}

/** @param {string} reason of a hang-up that the agent has decided @returns {Words | null} */
export function ofDecision(reason) {
  if (reason === "agent_hung_up") return ["end", "Agent hangs up", "after its last words"];
  return reason === "transferred" ? ["fwd", "Agent transfers the call.", ""] : null;
}

/**
 * @param {string} reason @param {string | null} by who has hung up, if an operator has
 * @param {string | null} to whom the caller was put through to
 * @param {string} me @returns {Words}
 */
export function ofEnding(reason, by, to, me) {
  /** @type {any} */
  const ended = { by: by === me ? "you" : by, transferred_to: to };
  return ["end", `${endWords({ end_reason: reason, ended })}.`, ""];
}

/** @param {boolean} isApproved @param {unknown} by @param {string} me */
export function decisionWords(isApproved, by, me) {
  return `${isApproved ? "Approved" : "Declined"} by ${by === me ? "you" : textIn(by) || "somebody"}`;
}

/** @param {unknown} by @param {string} me */
function nameOf(by, me) {
  if (by === me) return "You";
  return by === CALLER ? "The caller" : textIn(by) || "Somebody";
}

/** @param {unknown} member what may be missing */
export function textIn(member) {
  return typeof member === "string" ? member : "";
}

/** @param {string} text */
function quoted(text) {
  return text && `“${text}”`;
}
