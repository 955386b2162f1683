/** What the page shows in each state, in words. Pure: time is an argument. */

import { ESCAPE_MS } from "./page_state.js";

/** @typedef {import("./page_state.js").PageState} PageState */
/** @typedef {"talk"|"cancel"|"end"|"again"|"done"} Act what the one button does */
/**
 * @typedef {object} Shown
 * @property {string} name of the state
 * @property {string} title
 * @property {""|"agent"|"bad"} tone
 * @property {string} hint a sentence below the title
 * @property {boolean} isUrgent whether the hint is shown where there is little room, too
 * @property {string} clock length of the call
 * @property {boolean} isAlone whether there is no conversation beside
 * @property {boolean} isInCall
 * @property {boolean} hasMeter
 * @property {Act} act
 * @property {string} actWord
 * @property {string} actIcon
 * @property {boolean} offersTyping
 * @property {boolean} offersText whether the conversation can be read and saved
 * @property {boolean} hasExpression whether it has to be said what the bars are
 * @property {boolean} hasSteps how to allow the microphone
 * @property {string} spoken for screen readers; "" says nothing
 * @property {string} alarm for screen readers, at once
 */
/** @typedef {[title: string, hint: string, tone?: ""|"agent"|"bad"]} Words */

const LONGEST_TITLE = 24;
const SEARCHING = "Looking something up";
const INTERRUPT = "You can interrupt at any time.";
const TYPE_TOO = "You can also type.";

/**
 * By the code of the failure; the hint of those without one is the sentence of the failure.
 * @type {Record<string, [title: string, hint: string]>}
 */
const FAILURES = {
  microphone_refused: ["The microphone is blocked", "Your browser did not let this page use it."],
  microphone_missing: [
    "No microphone found",
    `Plug one in or switch it on, then try again. ${TYPE_TOO}`,
  ],
  microphone_busy: [
    "The microphone is in use",
    `Close the program that uses it, then try again. ${TYPE_TOO}`,
  ],
  insecure_page: [
    "The microphone is not available",
    `Browsers give it to pages under https:// only. ${TYPE_TOO}`,
  ],
  unreachable: [
    "The service does not answer",
    "No call could begin. Check your network, then try again.",
  ],
  connection_lost: [
    "Connection lost",
    "The call could not be restored. Check your network, then call again.",
  ],
  call_is_over: ["Call ended", "The call ended while you were away. You can call again."],
  link_needed: ["A link is needed", ""],
  token_unknown: ["This link is not valid", ""],
  token_used: ["This link was used", ""],
  token_expired: ["This link is too old", ""],
  token_for_another_origin: ["This link is for another page", ""],
};
const MICROPHONE = ["microphone_refused", "microphone_missing", "microphone_busy", "insecure_page"];
const FULL = ["service_full", "draining"];

/**
 * Everything that the page shows in a state.
 * @param {PageState} state
 * @param {number} nowMs
 * @param {{name: string, about: string}} agent
 * @returns {Shown}
 */
export function shown(state, nowMs, agent) {
  const name = nameOf(state);
  const [title, hint, tone = ""] = wordsOf(name, state, nowMs, agent);
  const isInCall = state.phase === "call";
  const notice = isInCall ? noticeOf(state, nowMs) : "";
  const act = actOf(state);
  return {
    name,
    title,
    tone,
    hint: notice || hint,
    isUrgent: notice !== "" || !isInCall,
    clock: isInCall ? clockOf((nowMs - state.beganMs) / 1000) : "",
    isAlone: state.soundIsOpen || !(isInCall || state.isReading),
    isInCall,
    hasMeter: isInCall || state.phase === "connecting",
    act,
    actWord: act === "talk" ? beginningOf(state) : WORDS_OF_ACT[act],
    actIcon: act === "talk" && !state.hasMicrophone ? "keys" : ICONS_OF_ACT[act],
    offersTyping: state.phase === "idle" || (state.phase === "failed" && canType(state)),
    offersText: state.phase === "ended" && state.hasLines,
    hasExpression: isInCall && state.hasExpression,
    hasSteps: name === "refused",
    spoken: (notice !== state.alarm?.message && notice) || spokenOf(name, title, hint),
    alarm: alarmOf(name, state),
  };
}

/** @type {Record<Exclude<Act, "talk">, string>} */
const WORDS_OF_ACT = {
  cancel: "Cancel",
  end: "End call",
  again: "Try again",
  done: "Done",
};
/** @type {Record<Act, string>} */
const ICONS_OF_ACT = { talk: "mic", cancel: "ring", end: "end", again: "again", done: "check" };

/**
 * Length of a call as on a clock: 1:36.
 * @param {number} seconds
 */
export function clockOf(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/**
 * Length of a call in a sentence: 2 min 41 s.
 * @param {number} seconds
 */
export function lengthOf(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** @param {PageState} state */
function nameOf(state) {
  if (state.phase === "failed") return nameOfFailure(state.problem.code);
  if (state.phase === "ended") return state.ending.reason === "caller_lost" ? "lost" : "ended";
  if (state.phase !== "call") return state.phase;
  if (!state.isLinked) return "reconnecting";
  if (state.isHeld) return "held";
  if (state.isAway) return "away";
  if (state.pausedBy) return "paused";
  if (state.isMuted) return "muted";
  if (state.isSpeaking) return "speaking";
  return state.tools.length ? "looking" : "listening";
}

/** @param {string} code */
function nameOfFailure(code) {
  if (code === "microphone_refused") return "refused";
  if (code === "microphone_missing") return "nomic";
  return FULL.includes(code) ? "full" : "failed";
}

/**
 * @param {string} name
 * @param {PageState} state
 * @param {number} nowMs
 * @param {{name: string, about: string}} agent
 * @returns {Words}
 */
function wordsOf(name, state, nowMs, agent) {
  switch (name) {
    case "idle":
      return [agent.name, agent.about];
    case "connecting":
      return ["Connecting", "Usually two or three seconds."];
    case "ended":
      return ["Call ended", endingOf(state)];
    case "lost":
      return [FAILURES.connection_lost[0], FAILURES.connection_lost[1], "bad"];
    case "full":
      return fullOf(state, nowMs);
    case "listening":
      return listeningOf(state);
    case "looking":
      return lookingOf(state);
    case "paused":
      return ["Paused", pauseOf(state)];
    default:
      return Object.hasOwn(IN_CALL, name) ? IN_CALL[name] : failureOf(state);
  }
}

/** @type {Record<string, Words>} */
const IN_CALL = {
  speaking: ["Speaking", INTERRUPT, "agent"],
  muted: ["You are muted", "The agent cannot hear you. Press Unmute to talk."],
  held: ["On hold", "You and the agent do not hear each other. Stay on the line."],
  away: ["The agent is away", "Its connection dropped. It is tried again by itself.", "bad"],
  reconnecting: ["Reconnecting", "The connection dropped. It is tried again by itself.", "bad"],
};

/** @param {PageState} state @returns {Words} */
function listeningOf(state) {
  if (!state.hasMicrophone) {
    return ["Waiting for you", "Type a message. The agent answers aloud."];
  }
  if (state.isEnding) return ["Listening", "The call is about to end."];
  return ["Listening", state.isTyping ? "Type or talk. The agent answers aloud." : INTERRUPT];
}

/** @param {PageState} state @returns {Words} */
function lookingOf(state) {
  const words = state.tools[state.tools.length - 1].words.replace(/\.$/, "");
  const fits = words !== "" && words.length <= LONGEST_TITLE;
  return [fits ? words : SEARCHING, words && !fits ? words : WHILE_SEARCHING, "agent"];
}
const WHILE_SEARCHING = "The agent is looking something up.";

/** @param {PageState} state */
function pauseOf(state) {
  return state.pausedBy === "operator"
    ? "A person has paused the agent. Stay on the line."
    : "The agent stays silent until you resume.";
}

/** @param {PageState} state */
function endingOf(state) {
  const { reason, sentence, seconds } = state.ending;
  if (reason === "caller_hung_up") return `You ended the call after ${lengthOf(seconds)}.`;
  return sentence || `The call took ${lengthOf(seconds)}.`;
}

/** @param {PageState} state @param {number} nowMs @returns {Words} */
function fullOf(state, nowMs) {
  const isDraining = state.problem.code === "draining";
  const title = isDraining ? "The service is restarting" : "All lines are busy";
  const why = isDraining
    ? "It takes no new calls just now"
    : "Every line is taken. Your place is not held";
  if (state.retryMs === null) return [title, `${why}. Try again in a few minutes.`];
  const seconds = Math.max(0, Math.ceil((state.retryMs - nowMs) / 1000));
  return [title, `${why}; trying again in ${seconds} s.`];
}

/** @param {PageState} state @returns {Words} */
function failureOf(state) {
  const { code, message } = state.problem;
  const [title, hint] = Object.hasOwn(FAILURES, code)
    ? FAILURES[code]
    : ["The call could not begin", ""];
  return [title, hint || message, code === "connection_lost" ? "bad" : ""];
}

/** @param {PageState} state @returns {Act} */
function actOf(state) {
  if (state.soundIsOpen) return "done";
  if (state.phase === "connecting") return "cancel";
  if (state.phase === "call") return "end";
  return state.phase === "failed" ? "again" : "talk";
}

/** @param {PageState} state */
function beginningOf(state) {
  if (state.phase === "idle") return "Start talking";
  return state.hasMicrophone ? "Talk again" : "Type again";
}

/** @param {PageState} state */
function canType(state) {
  return [...MICROPHONE, ...FULL].includes(state.problem.code);
}

/** @param {PageState} state @param {number} nowMs */
function noticeOf(state, nowMs) {
  if (nowMs - state.escapeMs < ESCAPE_MS) return "Press Esc again to end the call.";
  if (nowMs < state.noticeUntilMs) return state.notice;
  return state.alarm?.message ?? "";
}

/**
 * The agent's voice is audible: saying that it speaks would talk over it.
 * @param {string} name
 * @param {string} title
 * @param {string} hint
 */
function spokenOf(name, title, hint) {
  if (name === "idle" || name === "speaking" || name === "lost") return "";
  if (name === "full") return `${title}. Trying again.`;
  return ["ended", "failed", "refused", "nomic", "paused"].includes(name)
    ? `${title}: ${hint}`
    : title;
}

/** @param {string} name @param {PageState} state */
function alarmOf(name, state) {
  if (name === "lost") return FAILURES.connection_lost.join(". ");
  return state.phase === "call" ? (state.alarm?.message ?? "") : "";
}
