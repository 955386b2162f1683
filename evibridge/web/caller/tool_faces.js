/** What the small buttons of a call show. Pure. */

/** @typedef {import("./page_state.js").PageState} PageState */
/**
 * @typedef {object} Face
 * @property {string} word on the button
 * @property {string} label its name for assistive technology; what can be pressed in keeps it
 * @property {string} icon
 * @property {boolean | null} isPressed null for one that cannot be pressed in
 */

/**
 * By the id of the button.
 * @param {PageState} state
 * @returns {Record<"mute"|"pause"|"type-open", Face>}
 */
export function toolFaces(state) {
  return {
    mute: muteFace(state),
    pause: pauseFace(state),
    "type-open": { word: "Type", label: "Type", icon: "keys", isPressed: state.isTyping },
  };
}

/** @param {PageState} state @returns {Face} */
function muteFace({ hasMicrophone, isMicrophoneLost, isMuted }) {
  if (!hasMicrophone || isMicrophoneLost) {
    return { word: "Talk", label: "Talk: switch the microphone on", icon: "mic", isPressed: null };
  }
  return {
    word: isMuted ? "Unmute" : "Mute",
    label: "Mute",
    icon: isMuted ? "micoff" : "mic",
    isPressed: isMuted,
  };
}

/** @param {PageState} state @returns {Face} */
function pauseFace({ pausedBy }) {
  const word = { "": "Pause", you: "Resume", operator: "Paused", person: "Paused" }[pausedBy];
  const icon = pausedBy === "you" ? "play" : "pause";
  return { word, label: "Pause", icon, isPressed: pausedBy !== "" };
}
