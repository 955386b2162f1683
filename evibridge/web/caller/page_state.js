/**
 * What the caller's page knows, and how each event changes it. Pure: time is an argument.
 *
 * Events are the messages of the service by their `type`, those of the module (`state`, `speaking`,
 * `error`), and what happens on the page itself (`begin`, `entry`, `prompted`, `microphone_open`,
 * `microphone_on`, `muted`, `cancel`, `failed`, `leave`, `lines`, `type_toggled`, `sound_toggled`,
 * `reading_toggled`, `escape`).
 */

export const ESCAPE_MS = 5000;
export const NOTICE_MS = 6000;
export const RETRY_S = 10;
/** After so many tries for a line the caller has to try himself. */
export const MAX_RETRIES = 30;

/** @typedef {{type: string, [member: string]: any}} PageEvent */
/** @typedef {{id: string, words: string}} RunningTool */
/** @typedef {{code: string, message: string}} Problem */
/** @typedef {{reason: string, sentence: string, seconds: number}} Ending */
/**
 * @typedef {object} PageState
 * @property {"idle"|"connecting"|"call"|"ended"|"failed"} phase
 * @property {"open"|"link"|"closed"} entry what lets another call begin: this computer's service, an
 *     unused link, or nothing
 * @property {boolean} hasMicrophone whether the call has one
 * @property {boolean} isMicrophoneLost whether it had one that is gone
 * @property {boolean} isPrompting whether the browser asks for the microphone
 * @property {boolean} isReady whether the agent was there
 * @property {boolean} isLinked whether the connection stands
 * @property {boolean} isAway whether the agent's server is lost
 * @property {boolean} isMuted
 * @property {""|"you"|"operator"|"person"} pausedBy
 * @property {boolean} isHeld
 * @property {boolean} isSpeaking whether the agent is audible
 * @property {boolean} isEnding
 * @property {RunningTool[]} tools those that run, oldest first
 * @property {boolean} isTyping
 * @property {boolean} soundIsOpen
 * @property {boolean} isReading whether the conversation is shown after its end
 * @property {boolean} hasLines whether there is anything to read
 * @property {boolean} hasExpression whether any row tells how a voice sounded
 * @property {Problem} problem why there is no call; its code is "" if there is none
 * @property {string} notice a sentence for a while
 * @property {number} noticeUntilMs
 * @property {Problem | null} alarm what went wrong in a call that goes on
 * @property {number} escapeMs when Escape was pressed last
 * @property {number} beganMs
 * @property {Ending} ending of the call that is over
 * @property {number | null} retryMs when the next try is due
 * @property {number} retries tries that were made without the caller
 */

/** @type {PageState} */
export const IDLE = Object.freeze({
  phase: "idle",
  entry: "open",
  hasMicrophone: true,
  isMicrophoneLost: false,
  isPrompting: false,
  isReady: false,
  isLinked: true,
  isAway: false,
  isMuted: false,
  pausedBy: "",
  isHeld: false,
  isSpeaking: false,
  isEnding: false,
  tools: [],
  isTyping: false,
  soundIsOpen: false,
  isReading: false,
  hasLines: false,
  hasExpression: false,
  problem: { code: "", message: "" },
  notice: "",
  noticeUntilMs: 0,
  alarm: null,
  escapeMs: -Infinity,
  beganMs: 0,
  ending: { reason: "", sentence: "", seconds: 0 },
  retryMs: null,
  retries: 0,
});

/** @typedef {(state: PageState, event: PageEvent, nowMs: number) => Partial<PageState>} Change */

const ENDS_CALL = ["connection_lost", "call_is_over"];
const MICROPHONE_LOST = "microphone_lost";
const MICROPHONE_ON = "The microphone is on.";

/**
 * Events that count in the middle of a call only.
 * @type {Record<string, Change>}
 */
const IN_CALL = {
  speaking: (state, event) => ({
    isSpeaking: event.speaking,
    isReady: state.isReady || event.speaking,
    alarm: alarmAfter(state, event.speaking, "sound_blocked"),
  }),
  microphone_on: microphoneOn,
  muted: (_, event) => ({ isMuted: event.muted }),
  paused: (_, { by }) => ({ pausedBy: by === "operator" || by === "person" ? by : "you" }),
  resumed: () => ({ pausedBy: "" }),
  held: () => ({ isHeld: true }),
  released: () => ({ isHeld: false }),
  away: () => ({ isAway: true, isSpeaking: false }),
  ready: () => ({ isAway: false, isReady: true }),
  ending: () => ({ isEnding: true }),
  tool: (state, event) => ({ tools: toolsAfter(state.tools, event) }),
  refused: (_, event, nowMs) => ({
    isPrompting: false,
    notice: event.message,
    noticeUntilMs: nowMs + NOTICE_MS,
  }),
  error: wentWrong,
  state: (state, event, nowMs) => linkChanges(state, event.state, nowMs),
  type_toggled: (state) => ({ isTyping: !state.isTyping }),
};

/** @type {Record<string, Change>} */
const ALWAYS = {
  begin: (state, event) =>
    state.phase === "connecting" || state.phase === "call"
      ? {}
      : {
          ...IDLE,
          phase: "connecting",
          entry: state.entry,
          problem: event.isRetry ? state.problem : IDLE.problem,
          hasMicrophone: event.microphone,
          isTyping: !event.microphone,
          soundIsOpen: state.soundIsOpen,
          retries: event.isRetry ? state.retries + 1 : 0,
        },
  welcome: (state, _, nowMs) =>
    state.phase === "connecting"
      ? { phase: "call", isPrompting: false, problem: IDLE.problem, beganMs: nowMs, retries: 0 }
      : {},
  prompted: ({ phase }) => ({ isPrompting: phase === "connecting" || phase === "call" }),
  microphone_open: () => ({ isPrompting: false }),
  cancel: ({ entry }) => ({ ...IDLE, entry }),
  entry: entryChanges,
  failed,
  leave: (state, _, nowMs) => {
    const seconds = Math.round((nowMs - state.beganMs) / 1000);
    return over(state, { reason: "caller_hung_up", sentence: "", seconds });
  },
  ended: (state, event) =>
    over(state, { reason: event.reason, sentence: event.sentence, seconds: event.seconds }),
  lines: (_, event) => ({ hasLines: event.count > 0, hasExpression: event.hasExpression }),
  sound_toggled: (state) => ({ soundIsOpen: !state.soundIsOpen }),
  reading_toggled: (state) => ({ isReading: !state.isReading }),
  escape: (_, __, nowMs) => ({ escapeMs: nowMs }),
};

/**
 * The state after an event; the same object if nothing changes.
 * @param {PageState} state
 * @param {PageEvent} event
 * @param {number} nowMs
 * @returns {PageState}
 */
export function after(state, event, nowMs) {
  const isOurs = Object.hasOwn(ALWAYS, event.type);
  const change = isOurs
    ? ALWAYS[event.type]
    : state.phase === "call" && Object.hasOwn(IN_CALL, event.type) && IN_CALL[event.type];
  return change ? merged(state, change(state, event, nowMs)) : state;
}

/**
 * Whether Escape, pressed now, ends the call: it has to be pressed twice.
 * @param {PageState} state
 * @param {number} nowMs
 */
export function escapeEnds(state, nowMs) {
  return nowMs - state.escapeMs < ESCAPE_MS;
}

/**
 * Whether the next try for a free line is due; none is made behind an open panel.
 * @param {PageState} state
 * @param {number} nowMs
 */
export function retryIsDue(state, nowMs) {
  if (state.phase !== "failed" || state.soundIsOpen) return false;
  return state.retryMs !== null && nowMs >= state.retryMs;
}

/**
 * @param {PageState} state
 * @param {Partial<PageState>} change
 */
function merged(state, change) {
  const names = /** @type {(keyof PageState)[]} */ (Object.keys(change));
  return names.some((name) => change[name] !== state[name]) ? { ...state, ...change } : state;
}

/**
 * What was wrong is well again once there is proof of it.
 * @param {PageState} state
 * @param {boolean} isProof
 * @param {string} code
 */
function alarmAfter(state, isProof, code) {
  return isProof && state.alarm?.code === code ? null : state.alarm;
}

/** @type {Change} */
function failed(state, event, nowMs) {
  if (state.phase !== "connecting") return {};
  const comesFree = event.code === "service_full" || event.code === "draining";
  const waits = comesFree && state.retries < MAX_RETRIES;
  return {
    phase: "failed",
    isTyping: false,
    isPrompting: false,
    soundIsOpen: false,
    problem: { code: event.code, message: event.message },
    retryMs: waits ? nowMs + Math.max(1, event.retryAfterS ?? RETRY_S) * 1000 : null,
  };
}

/** @type {Change} */
function microphoneOn(state, event, nowMs) {
  const isNews = state.isMicrophoneLost || !state.hasMicrophone;
  return {
    hasMicrophone: true,
    isMicrophoneLost: false,
    isPrompting: false,
    isMuted: event.muted,
    alarm: alarmAfter(state, true, MICROPHONE_LOST),
    ...(isNews && { notice: MICROPHONE_ON, noticeUntilMs: nowMs + NOTICE_MS }),
  };
}

/** @type {Change} */
function wentWrong(state, { code, message }) {
  if (ENDS_CALL.includes(code)) return { problem: { code, message } };
  return {
    alarm: { code, message },
    isMicrophoneLost: state.isMicrophoneLost || code === MICROPHONE_LOST,
  };
}

/**
 * Who was not let in may try with the link that he has followed now.
 * @type {Change}
 */
function entryChanges(state, { entry }) {
  const isWayIn = state.phase === "failed" && state.entry === "closed" && entry === "link";
  return isWayIn ? { ...IDLE, entry } : { entry };
}

/**
 * @param {PageState} state
 * @param {string} link
 * @param {number} nowMs
 * @returns {Partial<PageState>}
 */
function linkChanges(state, link, nowMs) {
  if (link === "reconnecting") return { isLinked: false, isSpeaking: false };
  if (link === "connected") return { isLinked: true, problem: IDLE.problem };
  if (link !== "ended") return {};
  const seconds = Math.round((nowMs - state.beganMs) / 1000);
  if (state.problem.code === "call_is_over") {
    return over(state, { reason: "", sentence: state.problem.message, seconds });
  }
  const isLost = state.problem.code !== "" || !state.isLinked;
  return over(state, { reason: isLost ? "caller_lost" : "", sentence: "", seconds });
}

/**
 * The first word about the end of a call counts, but for one that has no reason.
 * @param {PageState} state
 * @param {Ending} ending
 * @returns {Partial<PageState>}
 */
function over(state, ending) {
  const isOpen = state.phase === "ended" && state.ending.reason === "" && ending.reason !== "";
  if (state.phase !== "call" && !isOpen) return {};
  return {
    phase: "ended",
    ending,
    isTyping: false,
    isSpeaking: false,
    isPrompting: false,
    soundIsOpen: false,
    tools: [],
  };
}

/**
 * @param {RunningTool[]} tools
 * @param {PageEvent} event
 */
function toolsAfter(tools, event) {
  const others = tools.filter((tool) => tool.id !== event.id);
  if (event.state === "running") return [...others, { id: event.id, words: event.words ?? "" }];
  return others.length === tools.length ? tools : others;
}
