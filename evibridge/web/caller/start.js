/** The caller's page: what the caller does, what happens in the call, and what is shown of it. */

import { Announcer } from "../shared/announcer.js";
import { made } from "../shared/elements.js";
import { CallLink } from "./call_link.js";
import { actionOf } from "./keyboard.js";
import { Meter } from "./meter.js";
import { MicrophoneCheck } from "./microphone_check.js";
import { whilePrompting } from "./microphone_prompt.js";
import { after, escapeEnds, IDLE, retryIsDue } from "./page_state.js";
import { announced, isTalkedIn, shown, speakerOf } from "./page_words.js";
import { Reading } from "./reading.js";
import { SoundPanel } from "./sound_panel.js";
import { guard, part, showStage } from "./stage_view.js";
import { Transcript } from "./transcript.js";
import { fileName, transcriptText } from "./transcript_text.js";
import { TranscriptView } from "./transcript_view.js";

/** @typedef {import("./page_state.js").PageEvent} PageEvent */
/** @typedef {import("./page_state.js").PageState} PageState */
/** @typedef {import("../call/call.js").EvibridgeCall} EvibridgeCall */
/**
 * What has run before the page was there.
 * @typedef {object} Arrival
 * @property {string} token
 * @property {() => string} takeToken
 * @property {() => void} forgetToken
 * @property {() => void} complete
 */

const TICK_MS = 500;
const NOT_CONNECTED = "Not connected just now.";
const arrival = /** @type {{arrival: Arrival}} */ (/** @type {any} */ (window)).arrival;

class CallerPage {
  #agent;
  #state;
  #shown;
  #began;
  #transcript;
  #view;
  #meter;
  #announcer;
  #reading;
  #link;
  #sound;
  #held;

  constructor() {
    const { name = "", about = "" } = document.body.dataset;
    this.#agent = { name, about };
    /** @type {PageState} */
    this.#state = IDLE;
    this.#shown = shown(IDLE, 0, this.#agent);
    this.#began = new Date();
    this.#transcript = new Transcript();
    const log = { scroller: part("talk"), log: part("log"), jump: part("jump") };
    this.#view = new TranscriptView(this.#transcript, log, name);
    this.#meter = new Meter(part("ribbon"), false);
    this.#announcer = new Announcer(part("spoken"));
    this.#reading = new Reading(part("reading"));
    this.#link = new CallLink(arrival.token, (event) => this.#take(event), arrival.forgetToken);
    this.#sound = new SoundPanel(
      () => this.#link.call,
      (_, changed) => this.#chosen(changed),
    );
    /** Open while a line is waited for: each try would ask for the microphone again. */
    this.#held = new MicrophoneCheck();
    this.#reading.isOn = this.#sound.choices.readsAloud;
    this.#state = after(this.#state, { type: "entry", entry: this.#link.entry }, 0);
    this.#listen();
    this.#render();
  }

  /**
   * What happened in the call, or to the attempt to begin one.
   * @param {PageEvent} event
   */
  #take(event) {
    const final = this.#transcript.take(event);
    if (final) this.#reading.read(speakerOf(final.by, this.#agent.name), final.text);
    if (this.#transcript.changed.size) this.#view.update();
    if (event.type === "device_gone") this.#sound.forgetMicrophone();
    this.#dispatch(event);
    this.#dispatch({ type: "entry", entry: this.#link.entry });
    const { rows, hasExpression } = this.#transcript;
    this.#dispatch({ type: "lines", count: rows.size, hasExpression });
  }

  /** @param {PageEvent} event */
  #dispatch(event) {
    const before = this.#state;
    this.#state = after(before, event, performance.now());
    if (this.#state === before) return;
    if (this.#state.phase !== before.phase) this.#phaseChanged();
    this.#meter.mute(this.#state.isMuted);
    this.#sound.show(this.#state.soundIsOpen);
    this.#render();
  }

  #phaseChanged() {
    this.#holdMicrophone();
    if (this.#state.phase !== "call") {
      this.#meter.stop();
      this.#transcript.settle();
      this.#view.update();
      messageField().value = "";
      return;
    }
    this.#began = new Date();
    this.#meter.start(() => ({
      caller: this.#link.call?.level("caller") ?? 0,
      agent: this.#link.call?.level("agent") ?? 0,
    }));
  }

  #holdMicrophone() {
    const { phase, retryMs, hasMicrophone, retries } = this.#state;
    const isWaiting = retryMs !== null || (phase === "connecting" && retries > 0);
    if (!isWaiting || !hasMicrophone) this.#held.close();
    else if (!this.#held.isOpen) this.#held.open(this.#sound.choices.microphone).catch(() => {});
  }

  #render() {
    const before = this.#shown;
    const now = shown(this.#state, performance.now(), this.#agent);
    this.#shown = now;
    showStage(now, this.#state, this.#agent.name);
    const sentence = announced(before, now);
    if (sentence) this.#announcer.say(sentence);
    if (now.alarm !== before.alarm) part("alarm").textContent = now.alarm;
  }

  #tick() {
    if (retryIsDue(this.#state, performance.now())) this.#begin(this.#state.hasMicrophone, true);
    if (this.#state.phase === "call" || this.#state.retryMs !== null) this.#render();
  }

  /** @param {boolean} hasMicrophone @param {boolean} [isRetry] */
  #begin(hasMicrophone, isRetry = false) {
    this.#transcript.clear();
    this.#view.update();
    this.#dispatch({ type: "begin", microphone: hasMicrophone, isRetry });
    void this.#link.begin(hasMicrophone, this.#sound.choices);
  }

  #pressed() {
    const { act } = this.#shown;
    if (act === "done") this.#dispatch({ type: "sound_toggled" });
    else if (act === "end") this.#leave("leave");
    else if (act === "cancel") this.#leave("cancel");
    else this.#begin(this.#state.hasMicrophone);
  }

  /** @param {"leave"|"cancel"} how */
  #leave(how) {
    this.#link.end();
    this.#dispatch({ type: how });
  }

  #toggleMute() {
    const call = this.#link.call;
    if (!call || !isTalkedIn(this.#state)) return;
    if (!this.#state.hasMicrophone || this.#state.isMicrophoneLost) {
      void this.#useMicrophone(call, this.#sound.choices.microphone || true);
      return;
    }
    if (call.muted) call.unmute();
    else call.mute();
    this.#dispatch({ type: "muted", muted: call.muted });
  }

  /** @param {EvibridgeCall} call @param {string | true} microphone */
  async #useMicrophone(call, microphone) {
    let isOpening = true;
    void whilePrompting(
      () => isOpening,
      () => this.#dispatch({ type: "prompted" }),
    );
    try {
      await setMicrophone(call, microphone, () => this.#sound.forgetMicrophone());
      this.#dispatch({ type: "microphone_on", muted: call.muted });
    } catch (/** @type {any} */ error) {
      this.#dispatch({ type: "refused", message: error.message });
    } finally {
      isOpening = false;
    }
  }

  /** Another one may have been connected. */
  #devicesChanged() {
    const call = this.#link.call;
    if (call && this.#state.isMicrophoneLost) void this.#useMicrophone(call, true);
  }

  #togglePause() {
    if (!isTalkedIn(this.#state)) return;
    this.#command((call) => (this.#state.pausedBy ? call.resume() : call.pause()));
  }

  #toggleTyping() {
    if (!isTalkedIn(this.#state)) return;
    this.#dispatch({ type: "type_toggled" });
    if (this.#state.isTyping) messageField().focus();
  }

  #send() {
    const text = messageField().value.trim();
    if (text && this.#command((call) => call.send(text))) messageField().value = "";
  }

  /**
   * Tell the service something; returns whether that could be.
   * @param {(call: EvibridgeCall) => void} tell
   */
  #command(tell) {
    try {
      if (this.#link.call && this.#state.isLinked) {
        tell(this.#link.call);
        return true;
      }
    } catch {
      // The connection was lost a moment ago.
    }
    this.#dispatch({ type: "refused", message: NOT_CONNECTED });
    return false;
  }

  #escape() {
    const { act, offersCancel } = this.#shown;
    if (act === "done") this.#dispatch({ type: "sound_toggled" });
    else if (act === "cancel" || offersCancel) this.#leave("cancel");
    else if (act !== "end") return;
    else if (escapeEnds(this.#state, performance.now())) this.#leave("leave");
    else this.#dispatch({ type: "escape" });
  }

  #followLink() {
    const token = arrival.takeToken();
    if (!token) return; // another part of the page was gone to
    this.#link.useToken(token);
    this.#dispatch({ type: "entry", entry: this.#link.entry });
  }

  #save() {
    const { rows, dropped } = this.#transcript;
    const text = transcriptText(rows.values(), this.#agent.name, this.#began, dropped);
    const link = made("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
    link.download = fileName(this.#agent.name, this.#began);
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href));
  }

  /** @param {keyof import("./sound_panel.js").Choices} changed */
  #chosen(changed) {
    const { choices } = this.#sound;
    const call = this.#link.call;
    this.#reading.isOn = choices.readsAloud;
    if (!call) return;
    call.halfDuplex = choices.takesTurns;
    if (changed === "microphone" && this.#state.hasMicrophone && isTalkedIn(this.#state)) {
      void this.#useMicrophone(call, choices.microphone || true);
    }
    if (changed === "speaker") {
      call.setSpeaker(choices.speaker).catch((error) => {
        this.#dispatch({ type: "refused", message: error.message });
      });
    }
  }

  #listen() {
    /** @type {Record<string, () => void>} */
    const actions = {
      mute: () => this.#toggleMute(),
      pause: () => this.#togglePause(),
      type: () => this.#toggleTyping(),
      sound: () => this.#dispatch({ type: "sound_toggled" }),
      escape: () => this.#escape(),
    };
    onClick("mute", actions.mute);
    onClick("pause", actions.pause);
    onClick("type-open", actions.type);
    onClick("sound-open", actions.sound);
    onClick("one", () => this.#pressed());
    onClick("instead", () => this.#begin(this.#shown.offers === "talking"));
    onClick("cancel", () => this.#leave("cancel"));
    onClick("read", () => this.#dispatch({ type: "reading_toggled" }));
    onClick("save", () => this.#save());
    part("type").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    document.addEventListener("keydown", (event) => {
      const target = document.activeElement;
      const action = actionOf(event, target, this.#sound.choices.lettersAct);
      if (action || isHeldDown(event)) event.preventDefault();
      actions[action]?.();
    });
    navigator.mediaDevices?.addEventListener("devicechange", () => this.#devicesChanged());
    addEventListener("hashchange", () => this.#followLink());
    setInterval(() => this.#tick(), TICK_MS);
  }
}

/** @param {string} id @param {() => void} act */
function onClick(id, act) {
  part(id).addEventListener("click", () => {
    // The second of a double click was not meant for what the first has changed.
    if (guard.isMeant(id, performance.now())) act();
  });
}

/**
 * A key that is held down presses a button once.
 * @param {KeyboardEvent} event
 */
function isHeldDown({ repeat, key, target }) {
  const isOnButton = target instanceof Element && target.closest("button") !== null;
  return repeat && isOnButton && (key === "Enter" || key === " ");
}

/**
 * Go on with a microphone, or with the system's choice if it is gone.
 * @param {EvibridgeCall} call
 * @param {string | true} microphone
 * @param {() => void} isGone
 */
async function setMicrophone(call, microphone, isGone) {
  try {
    await call.setMicrophone(microphone);
  } catch (/** @type {any} */ error) {
    if (microphone === true || error.code !== "microphone_missing") throw error;
    isGone();
    await call.setMicrophone(true);
  }
}

function messageField() {
  return /** @type {HTMLInputElement} */ (part("message"));
}

new CallerPage();
arrival.complete();
