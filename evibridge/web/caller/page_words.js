/** What the page shows in each state, in words. Pure: time is an argument. */

import { ESCAPE_MS } from "./page_state.js";

/** @typedef {import("./page_state.js").PageState} PageState */
/** @typedef {"talk"|"cancel"|"end"|"again"|"done"|"none"} Act what the one button does */
/**
 * @typedef {object} Shown
 * @property {string} name of the state
 * @property {string} title
 * @property {""|"agent"|"bad"} tone
 * @property {string} hint a sentence below the title
 * @property {boolean} isUrgent whether the hint is shown where there is little room, too
 * @property {string} clock length of the call
 * @property {boolean} isAlone whether there is no conversation beside
 * @property {boolean} isInCall whether the call can be talked in
 * @property {boolean} isMuted
 * @property {boolean} hasMeter
 * @property {Act} act
 * @property {string} actWord
 * @property {string} actIcon
 * @property {"typing"|"talking"|""} offers the other way to make a call
 * @property {boolean} offersCancel whether it can be given up to wait for a line
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
const ALLOW = "Allow the microphone in your browser.";
const OPEN_LINK = "Open your link again to call once more.";
const ANOTHER_LINK = "Ask for another one where you got it.";

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
  link_needed: ["A link is needed", "This page needs a link from whoever runs it."],
  token_unknown: ["This link is not valid", ANOTHER_LINK],
  token_used: ["This link was used", `It is good for one call. ${ANOTHER_LINK}`],
  token_expired: ["This link is too old", ANOTHER_LINK],
  token_for_another_origin: ["This link is for another page", ANOTHER_LINK],
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
  const isInCall = isTalkedIn(state);
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
    isMuted: isInCall && state.isMuted,
    hasMeter: isInCall || name === "connecting",
    act,
    actWord: act === "talk" ? beginningOf(state) : WORDS_OF_ACT[act],
    actIcon: act === "talk" && !state.hasMicrophone ? "keys" : ICONS_OF_ACT[act],
    offers: otherWayOf(state, act),
    offersCancel: state.phase === "failed" && state.retryMs !== null,
    offersText: state.phase === "ended" && state.hasLines,
    hasExpression: isInCall && state.hasExpression,
    hasSteps: name === "refused",
    spoken: (notice !== state.alarm?.message && notice) || spokenOf(name, state, title, hint),
    alarm: name === "lost" ? `${title}. ${hint}` : isInCall ? (state.alarm?.message ?? "") : "",
  };
}

/**
 * What a screen reader is told when another state is shown; "" for nothing. Whether the agent hears
 * the caller is always told, whatever else goes on.
 * @param {Shown} before
 * @param {Shown} now
 */
export function announced(before, now) {
  const isNews = before.isInCall && now.isInCall && before.isMuted !== now.isMuted;
  if (isNews) return now.isMuted ? "You are muted" : "You are not muted any more";
  return now.spoken === before.spoken ? "" : now.spoken;
}

/**
 * Whether the caller and the agent are there.
 * @param {PageState} state
 */
export function isTalkedIn({ phase, isReady }) {
  return phase === "call" && isReady;
}

/** @type {Record<Exclude<Act, "talk">, string>} */
const WORDS_OF_ACT = {
  cancel: "Cancel",
  end: "End call",
  again: "Try again",
  done: "Done",
  none: "",
};
/** @type {Record<Act, string>} */
const ICONS_OF_ACT = {
  talk: "mic",
  cancel: "ring",
  end: "end",
  again: "again",
  done: "check",
  none: "mic",
};

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
  if (!state.isReady) return "connecting";
  if (!state.isLinked) return "reconnecting";
  if (state.isHeld) return "held";
  if (state.isAway) return "away";
  if (state.pausedBy) return state.pausedBy === "person" ? "person" : "paused";
  if (state.isMicrophoneLost) return "unheard";
  if (state.isMuted) return "muted";
  if (state.isSpeaking) return "speaking";
  return state.tools.length ? "looking" : "listening";
}

/**
 * Who has said a row.
 *
 * @param {string} by
 * @param {string} agent name of the agent
 */
export function speakerOf(by, agent) {
  if (by === "person") return "A person";
  return by === "agent" ? agent : "You";
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
      return [agent.name, state.entry === "closed" ? OPEN_LINK : agent.about];
    case "connecting":
      return ["Connecting", state.isPrompting ? ALLOW : "Usually two or three seconds."];
    case "ended":
      return ["Call ended", afterwards(state, endingOf(state), "")];
    case "lost":
      return ["Connection lost", afterwards(state, LOST, CALL_AGAIN), "bad"];
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

const LOST = "The call could not be restored.";
const CALL_AGAIN = "Check your network, then call again.";
/** @type {Record<string, Words>} */
const IN_CALL = {
  unheard: [
    "The agent cannot hear you",
    "The microphone is gone. Press Talk to use another one.",
    "bad",
  ],
  speaking: ["Speaking", INTERRUPT, "agent"],
  muted: ["You are muted", "The agent cannot hear you. Press Unmute to talk."],
  person: ["A person speaks with you", "The agent is silent meanwhile."],
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

/**
 * How another call may begin is said with the end of the last one.
 * @param {PageState} state
 * @param {string} ending
 * @param {string} otherwise what to do if nothing but the caller is needed
 */
function afterwards({ entry }, ending, otherwise) {
  return `${ending} ${entry === "closed" ? OPEN_LINK : otherwise}`.trim();
}

/** @param {PageState} state */
function titleOfFull({ problem }) {
  return problem.code === "draining" ? "The service is restarting" : "All lines are busy";
}

/** @param {PageState} state @param {number} nowMs @returns {Words} */
function fullOf(state, nowMs) {
  const isDraining = state.problem.code === "draining";
  const title = titleOfFull(state);
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
  if (state.phase === "call") return state.isReady ? "end" : "cancel";
  if (state.phase === "connecting") return "cancel";
  if (state.entry === "closed") return "none";
  return state.phase === "failed" ? "again" : "talk";
}

/** @param {PageState} state */
function beginningOf(state) {
  if (state.phase === "idle") return "Start talking";
  return state.hasMicrophone ? "Talk again" : "Type again";
}

/**
 * @param {PageState} state
 * @param {Act} act
 * @returns {Shown["offers"]}
 */
function otherWayOf({ phase, hasMicrophone, problem }, act) {
  if (act === "none") return "";
  if (!hasMicrophone) return phase === "ended" || phase === "failed" ? "talking" : "";
  const helps = phase === "failed" && [...MICROPHONE, ...FULL].includes(problem.code);
  return phase === "idle" || helps ? "typing" : "";
}

/** @param {PageState} state @param {number} nowMs */
function noticeOf(state, nowMs) {
  if (nowMs - state.escapeMs < ESCAPE_MS) return "Press Esc again to end the call.";
  if (state.isPrompting) return ALLOW;
  if (nowMs < state.noticeUntilMs) return state.notice;
  return state.alarm?.message ?? "";
}

/**
 * The agent's voice is audible: saying that it speaks would talk over it.
 * @param {string} name
 * @param {PageState} state
 * @param {string} title
 * @param {string} hint
 */
function spokenOf(name, state, title, hint) {
  if (name === "idle" || name === "speaking" || name === "lost") return "";
  if (name === "connecting" && state.isPrompting) return `${title}: ${hint}`;
  const isWaiting = name === "full" && state.retryMs !== null;
  // Each of the tries is no news.
  if (isWaiting || (name === "connecting" && state.retries)) {
    return `${titleOfFull(state)}. Trying again.`;
  }
  return TOLD_WHOLE.includes(name) ? `${title}: ${hint}` : title;
}
const TOLD_WHOLE = ["ended", "failed", "full", "refused", "nomic", "paused"];
