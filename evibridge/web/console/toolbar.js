/** What an operator can do with a call that goes on. A button never moves while its call goes on. */

import { button, made, put, setIcon } from "../shared/elements.js";
import { keyOf } from "./keyboard.js";
import { makeOneTabStop, settleTabStop } from "./one_tab_stop.js";

/** @typedef {import("./types").Summary} Summary */
/** @typedef {import("./types").Operator} Operator */
/** @typedef {"listen"|"pause"|"hold"|"takeOver"|"transfer"|"hangUp"} ControlName */
/**
 * @typedef {object} Control
 * @property {ControlName} name
 * @property {string} word
 * @property {string} icon
 * @property {string} title
 * @property {boolean | null} isPressed null for what has no two states
 * @property {boolean} isDisabled
 * @property {boolean} isPending
 */
/**
 * @typedef {object} Doing
 * @property {(name: string) => boolean} isPending
 * @property {string} hearing whether the call is heard: off, connecting, on or failed
 * @property {boolean} isSpeaking whether the operator's microphone is on
 */

/** @type {ControlName[]} */
const ORDER = ["listen", "pause", "hold", "takeOver", "transfer", "hangUp"];
const TOGGLES = /** @type {const} */ ({
  pause: { by: "paused_by", begin: "pause", end: "resume" },
  hold: { by: "held_by", begin: "hold", end: "release" },
  takeOver: { by: "taken_over_by", begin: "takeover", end: "handback" },
});

/**
 * The command of a button that has two states, and whether it was seen to be done.
 *
 * @param {keyof typeof TOGGLES} name
 * @param {() => Summary} summary
 */
export function toggleOf(name, summary) {
  const { by, begin, end } = TOGGLES[name];
  const isSet = Boolean(summary()[by]);
  return { path: isSet ? end : begin, until: () => Boolean(summary()[by]) !== isSet };
}

/**
 * Why nobody can act on a call now, "" if one can.
 *
 * @param {Summary} summary
 * @param {Operator} [me]
 */
export function obstacle({ state }, me) {
  if (me?.scope === "read") return "You can watch, not act.";
  if (state === "ringing") return "Nobody has answered yet.";
  return state === "ending" || state === "ended" ? "The call is ending." : "";
}

/**
 * The buttons that there are, in their order. What never fits a call is absent; what does not fit now is
 * disabled, and its title says why.
 *
 * @param {Summary} summary
 * @param {Operator} me
 * @param {Doing} doing
 * @returns {Control[]}
 */
export function controlsFor(summary, me, doing) {
  const { kind, state, taken_over_by: taker } = summary;
  if (state === "ended") return [];
  const whyNot = obstacle(summary, me);
  /** @type {(name: ControlName, icon: string, word: string, isPressed?: boolean) => Control} */
  const control = (name, drawing, word, isPressed) => ({
    name,
    word,
    icon: drawing,
    title: whyNot || `${word} (${keyOf(name)})`,
    isPressed: isPressed ?? null,
    isDisabled: Boolean(whyNot),
    isPending: doing.isPending(name),
  });
  const pause = summary.paused_by
    ? control("pause", "play", "Resume", true)
    : control("pause", "quiet", "Pause", false);
  if (kind === "sidecar") return [pause];
  const hold = summary.held_by
    ? control("hold", "play", "Release", true)
    : control("hold", "hold", "Hold", false);
  const takeOver = control("takeOver", "man", taker ? "Hand back" : "Take over", taker === me.name);
  if (taker && taker !== me.name) {
    takeOver.isPressed = null;
    takeOver.title = whyNot || `With ${taker}`;
  }
  const controls = [listening(summary, doing), ...(taker ? [] : [pause]), hold, takeOver];
  if (kind === "phone") controls.push(control("transfer", "fwd", "Transfer"));
  const hangUp = control("hangUp", "end", "Hang up");
  if (me.scope === "control") {
    hangUp.isDisabled = false;
    hangUp.title = `${state === "ending" ? "Hang up at once" : "Hang up"} (${keyOf("hangUp")})`;
  }
  return [...controls, hangUp];
}

/**
 * Whoever may only read may listen.
 *
 * @param {Summary} summary
 * @param {Doing} doing
 * @returns {Control}
 */
function listening(summary, { hearing, isSpeaking }) {
  const isPending = hearing === "connecting";
  const isPressed = hearing === "on" || isPending;
  let whyNot = isPressed ? "" : obstacle(summary);
  if (isSpeaking) whyNot = "You hear the caller while you speak.";
  const title = whyNot || `${isPressed ? "Stop listening" : "Listen"} (${keyOf("listen")})`;
  const isDisabled = Boolean(whyNot);
  return { name: "listen", word: "Listen", icon: "ear", title, isPressed, isDisabled, isPending };
}

export class Toolbar {
  element = made("div", "acts");
  #onPress;
  /** @type {Map<ControlName, HTMLButtonElement>} */
  #buttons = new Map();
  /** @type {Map<ControlName, Control>} */
  #controls = new Map();

  /** @param {(name: ControlName) => void} onPress for what can be done now alone */
  constructor(onPress) {
    this.#onPress = onPress;
    this.element.setAttribute("role", "toolbar");
    this.element.setAttribute("aria-label", "Call controls");
    for (const name of ORDER) {
      const className = name === "hangUp" ? "btn bad" : "btn";
      const keys = keyOf(name);
      const control = button({ label: name, icon: "ring", className, keys, onPress: () => this.press(name) });
      this.#buttons.set(name, control);
      if (name === "hangUp") this.element.append(made("span", "gap"));
      this.element.append(control);
    }
    makeOneTabStop(this.element);
  }

  /** @param {ControlName} name */
  button(name) {
    return /** @type {HTMLButtonElement} */ (this.#buttons.get(name));
  }

  /**
   * As if its button was pressed, which a locked one does not notice.
   *
   * @param {ControlName} name
   */
  press(name) {
    const control = this.#controls.get(name);
    if (!control || control.isDisabled || (control.isPending && name !== "listen")) return;
    this.#onPress(name);
  }

  /** @param {Control[]} controls */
  update(controls) {
    this.#controls = new Map(controls.map((control) => [control.name, control]));
    const focused = document.activeElement;
    for (const [name, shown] of this.#buttons) {
      const control = this.#controls.get(name);
      shown.hidden = !control;
      if (control) draw(shown, control);
    }
    settleTabStop(this.element);
    // A button that is gone leaves the focus to those that stay.
    if (focused instanceof HTMLElement && focused.hidden && this.element.contains(focused)) {
      this.element.querySelector(/** @type {"button"} */ ("button[tabindex='0']"))?.focus();
    }
  }
}

/**
 * The drawing of a button, which turns while its command is on its way.
 *
 * @param {HTMLButtonElement} shown
 * @param {string} name
 * @param {boolean} isPending
 */
export function drawIcon({ firstElementChild: drawing }, name, isPending) {
  if (!drawing) return;
  setIcon(drawing, isPending ? "ring" : name);
  drawing.classList.toggle("spin", isPending);
}

/** @param {HTMLButtonElement} shown @param {Control} control */
function draw(shown, control) {
  drawIcon(shown, control.icon, control.isPending);
  put(shown.lastElementChild, control.word);
  shown.classList.toggle("keep", control.word === "Hand back" && control.isPressed === true);
  if (shown.title !== control.title) shown.title = control.title;
  /** @type {[string, string | null][]} */
  const attributes = [
    ["aria-label", control.word],
    ["aria-pressed", control.isPressed === null ? null : String(control.isPressed)],
    ["aria-disabled", control.isDisabled ? "true" : null],
    ["aria-busy", control.isPending ? "true" : null],
  ];
  for (const [name, value] of attributes) {
    if (value === null) shown.removeAttribute(name);
    else if (shown.getAttribute(name) !== value) shown.setAttribute(name, value);
  }
}
