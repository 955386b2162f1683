/** What an operator says to the caller, whispers to the agent, or speaks. */

import { button, made, put } from "../shared/elements.js";
import { makeOneTabStop, settleTabStop } from "./one_tab_stop.js";
import { drawIcon, obstacle } from "./toolbar.js";

/** @typedef {import("./types").Summary} Summary */
/** @typedef {import("./types").Operator} Operator */
/** @typedef {"say"|"whisper"|"speak"} Mode */

/** @type {Record<Mode, {word: string, hint: string, most: number}>} */
const MODES = {
  say: { word: "Say", hint: "The agent says this to the caller", most: 4000 },
  whisper: { word: "Whisper", hint: "Only the agent reads this", most: 16_000 },
  speak: { word: "Speak", hint: "Your microphone is off", most: 0 },
};
const SPOKEN_WORDS = {
  off: MODES.speak.hint,
  connecting: "Connecting your microphone",
  on: "The caller hears you",
  failed: "Your microphone is off",
};
const LEVEL_MS = 50;
const CALM_LEVEL_MS = 250;

/**
 * In which ways one can speak up now, and why one cannot. Pure.
 *
 * @param {Summary} summary
 * @param {Operator} me
 * @param {boolean} hasVoice whether the service takes an operator's microphone
 * @param {Mode} wanted
 * @param {boolean} [isSpeaking] whether his microphone is on
 */
export function composerFor(summary, me, hasVoice, wanted, isSpeaking = false) {
  const isMine = summary.taken_over_by === me.name && me.scope === "control";
  /** @type {Mode[]} */
  const modes = isMine && hasVoice ? ["say", "whisper", "speak"] : ["say", "whisper"];
  const mode = modes.includes(wanted) ? wanted : "say";
  const unheard = mode === "whisper" ? "" : silence(summary, isMine, mode === "say" && isSpeaking);
  const whyNot = obstacle(summary, me) || unheard;
  return { modes, mode, whyNot, hint: whyNot || MODES[mode].hint, most: MODES[mode].most };
}

/**
 * Why the caller would not hear it.
 *
 * @param {Summary} summary
 * @param {boolean} isMine
 * @param {boolean} isSpeaking
 */
function silence({ held_by: heldBy, paused_by: pausedBy, taken_over_by: taker }, isMine, isSpeaking) {
  if (heldBy) return "The call is on hold. Release it to say something.";
  if (taker && !isMine) return `The call is with ${taker}. Hand it back to say something.`;
  if (pausedBy && !taker) return "The agent is paused. Resume it, or take over, to say something.";
  if (isSpeaking) return "The caller hears you. Stop speaking to have something said.";
  return "";
}

/**
 * What becomes of the operator's own voice. Pure.
 *
 * @param {Summary} summary
 * @param {keyof typeof SPOKEN_WORDS} speaking
 * @param {string} whyNot
 */
export function voiceWords({ held_by: heldBy }, speaking, whyNot) {
  if (speaking === "on") return heldBy ? "On hold: the caller does not hear you" : SPOKEN_WORDS.on;
  return speaking === "connecting" ? SPOKEN_WORDS.connecting : whyNot || SPOKEN_WORDS[speaking];
}

export class Composer {
  element = made("form", "compose");
  #modes = made("div", "seg");
  /** @type {Map<Mode, HTMLButtonElement>} */
  #buttons = new Map();
  #field = made("label", "field");
  #input = made("input");
  #send;
  #voice = made("div", "voice");
  #voiceWords = made("span");
  #level = made("i");
  #toggle;
  #onSend;
  #onChange;
  #levelOf;
  #timer = 0;
  /** @type {Mode} */
  #wanted = "say";
  /** @type {Mode} */
  #mode = "say";
  #callId = "";
  #whyNot = "";
  #drawn = "";
  /**
   * What was written and not sent, by call and mode.
   * @type {Map<string, string>}
   */
  #drafts = new Map();
  /** @type {Set<string>} */
  #sending = new Set();

  /**
   * @param {object} parts
   * @param {(mode: "say"|"whisper", text: string) => Promise<string>} parts.onSend tells why it was
   *     refused, "" if it is done
   * @param {() => void} parts.onSpeak the microphone is switched on or off
   * @param {() => void} parts.onChange
   * @param {() => number} parts.level how loud the operator is, from 0 to 1
   */
  constructor({ onSend, onSpeak, onChange, level }) {
    this.#onSend = onSend;
    this.#onChange = onChange;
    this.#levelOf = level;
    this.#modes.setAttribute("role", "radiogroup");
    this.#modes.setAttribute("aria-label", "What to send");
    for (const mode of /** @type {Mode[]} */ (Object.keys(MODES))) {
      const choice = made("button", "", MODES[mode].word);
      choice.type = "button";
      choice.setAttribute("role", "radio");
      choice.addEventListener("click", () => this.#choose(mode));
      this.#buttons.set(mode, choice);
      this.#modes.append(choice);
    }
    makeOneTabStop(this.#modes, (choice) => choice.click());
    this.#input.dir = "auto";
    this.#input.autocomplete = "off";
    this.#input.enterKeyHint = "send";
    this.#field.append(made("span", "sr", "Message"), this.#input);
    this.#send = button({ icon: "send", className: "btn go sq", title: "Send (Enter)", onPress: () => {} });
    this.#send.type = "submit";
    const meter = made("span", "level");
    meter.ariaHidden = "true";
    meter.append(this.#level);
    this.#toggle = button({
      label: "Start speaking",
      icon: "mic",
      className: "btn keep",
      onPress: () => this.#toggle.getAttribute("aria-disabled") === "true" || onSpeak(),
    });
    this.#voice.append(this.#voiceWords, meter, this.#toggle);
    this.element.append(this.#modes, this.#field, this.#send, this.#voice);
    this.#input.addEventListener("input", () => this.#keep());
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#submit();
    });
  }

  /** @param {string} callId drafts are kept for each call */
  show(callId) {
    this.#callId = callId;
    this.#wanted = this.#mode = "say";
    this.#input.value = this.#draft();
  }

  /** Nobody looks at it any more. */
  rest() {
    this.#meter(false);
  }

  /** @param {Mode} mode */
  focus(mode) {
    this.#choose(mode);
    this.#field.hidden = false;
    this.#input.focus();
  }

  /**
   * @param {object} now
   * @param {Summary} now.summary
   * @param {Operator} now.me
   * @param {boolean} now.hasVoice
   * @param {"off"|"connecting"|"on"|"failed"} now.speaking
   */
  update({ summary, me, hasVoice, speaking }) {
    const isOn = speaking === "on" || speaking === "connecting";
    const now = composerFor(summary, me, hasVoice, this.#wanted, isOn);
    const { modes, mode, whyNot, hint, most } = now;
    this.#turnTo(mode);
    const isSpeech = mode === "speak";
    const isSending = this.#sending.has(this.#key());
    const words = voiceWords(summary, speaking, whyNot);
    const drawn = JSON.stringify([now, words, isOn, isSending]);
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this.#whyNot = whyNot;
    this.#field.hidden = this.#send.hidden = isSpeech;
    // Nobody shall forget that the caller hears him.
    this.#voice.hidden = !isSpeech && !isOn;
    for (const [name, choice] of this.#buttons) {
      choice.hidden = !modes.includes(name);
      choice.setAttribute("aria-checked", String(name === mode));
    }
    settleTabStop(this.#modes, this.#buttons.get(mode));
    this.#drawVoice(words, isOn, whyNot);
    if (!isSpeech) this.#drawField(hint, most, isSending);
    this.#meter(speaking === "on");
    const focused = document.activeElement;
    // What had the focus is gone: it would be nowhere.
    if (this.element.contains(focused) && focused?.closest("[hidden]")) this.#buttons.get(mode)?.focus();
  }

  /** @param {string} hint @param {number} most @param {boolean} isSending */
  #drawField(hint, most, isSending) {
    this.#field.classList.toggle("whisper", this.#mode === "whisper");
    this.#field.classList.toggle("off", Boolean(this.#whyNot));
    this.#input.placeholder = hint;
    this.#input.title = this.#whyNot;
    this.#input.maxLength = most;
    this.#input.readOnly = Boolean(this.#whyNot) || isSending;
    this.#input.setAttribute("aria-label", hint);
    this.#send.title = this.#whyNot || "Send (Enter)";
    this.#send.setAttribute("aria-disabled", String(this.#input.readOnly));
    drawIcon(this.#send, "send", isSending);
  }

  /** @param {string} words @param {boolean} isOn @param {string} whyNot */
  #drawVoice(words, isOn, whyNot) {
    put(this.#voiceWords, words);
    put(this.#toggle.lastElementChild, isOn ? "Stop speaking" : "Start speaking");
    this.#toggle.setAttribute("aria-pressed", String(isOn));
    this.#toggle.setAttribute("aria-disabled", String(!isOn && Boolean(whyNot)));
  }

  /** @param {boolean} isOn */
  #meter(isOn) {
    if (isOn === Boolean(this.#timer)) return;
    clearInterval(this.#timer);
    this.#timer = 0;
    this.#level.style.setProperty("--v", "0");
    if (!isOn) return;
    const everyMs = matchMedia("(prefers-reduced-motion: reduce)").matches ? CALM_LEVEL_MS : LEVEL_MS;
    // Heights go with the square root, as voices are much softer than the loudest sound.
    const draw = () => this.#level.style.setProperty("--v", Math.sqrt(this.#levelOf()).toFixed(2));
    this.#timer = window.setInterval(draw, everyMs);
  }

  /** @param {Mode} mode */
  #choose(mode) {
    this.#wanted = mode;
    this.#turnTo(mode);
    this.#onChange();
  }

  /** @param {Mode} mode */
  #turnTo(mode) {
    if (mode === this.#mode) return;
    this.#mode = mode;
    this.#input.value = this.#draft();
  }

  #key() {
    return `${this.#mode} ${this.#callId}`;
  }

  #draft() {
    return this.#drafts.get(this.#key()) ?? "";
  }

  #keep() {
    if (this.#input.value) this.#drafts.set(this.#key(), this.#input.value);
    else this.#drafts.delete(this.#key());
  }

  async #submit() {
    const [mode, key, text] = [this.#mode, this.#key(), this.#input.value.trim()];
    if (!text || mode === "speak" || this.#whyNot || this.#sending.has(key)) return;
    this.#sending.add(key);
    this.#onChange();
    const refusal = await this.#onSend(mode, text);
    this.#sending.delete(key);
    if (!refusal) {
      this.#drafts.delete(key);
      if (key === this.#key()) this.#input.value = "";
    }
    this.#onChange();
  }
}
