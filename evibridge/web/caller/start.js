/** The caller's page: what the caller does, what happens in the call, and what is shown of it. */

import { Announcer } from "./announcer.js";
import { CallLink } from "./call_link.js";
import { actionOf } from "./keyboard.js";
import { Meter } from "./meter.js";
import { after, escapeEnds, IDLE, retryIsDue } from "./page_state.js";
import { shown } from "./page_words.js";
import { Reading } from "./reading.js";
import { tokenIn } from "./session_token.js";
import { SoundPanel } from "./sound_panel.js";
import { part, showStage } from "./stage_view.js";
import { Transcript } from "./transcript.js";
import { fileName, transcriptText } from "./transcript_text.js";
import { TranscriptView } from "./transcript_view.js";

/** @typedef {import("./page_state.js").PageEvent} PageEvent */
/** @typedef {import("./page_state.js").PageState} PageState */

const TICK_MS = 500;

class CallerPage {
  #agent;
  #state;
  #spoken;
  #alarm;
  #began;
  #transcript;
  #view;
  #meter;
  #announcer;
  #reading;
  #link;
  #sound;

  constructor() {
    const { name = "", about = "" } = document.body.dataset;
    this.#agent = { name, about };
    /** @type {PageState} */
    this.#state = IDLE;
    this.#spoken = "";
    this.#alarm = "";
    this.#began = new Date();
    this.#transcript = new Transcript();
    const log = { scroller: part("talk"), log: part("log"), jump: part("jump") };
    this.#view = new TranscriptView(this.#transcript, log, name);
    this.#meter = new Meter(part("ribbon"), false);
    this.#announcer = new Announcer(part("spoken"));
    this.#reading = new Reading(part("reading"));
    this.#link = new CallLink(takeToken(), (event) => this.#take(event));
    this.#sound = new SoundPanel(
      () => this.#link.call,
      (_, changed) => this.#chosen(changed),
    );
    this.#reading.isOn = this.#sound.choices.readsAloud;
    this.#listen();
    this.#render();
  }

  /**
   * What happened in the call, or to the attempt to begin one.
   * @param {PageEvent} event
   */
  #take(event) {
    const final = this.#transcript.take(event);
    if (final) this.#reading.read(final.by === "agent" ? this.#agent.name : "You", final.text);
    if (this.#transcript.changed.size) this.#view.update();
    if (event.code === "microphone_missing") this.#sound.forgetMicrophone();
    this.#dispatch(event);
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
    if (this.#state.phase !== "call") {
      this.#meter.stop();
      return;
    }
    this.#began = new Date();
    this.#meter.start(() => ({
      caller: this.#link.call?.level("caller") ?? 0,
      agent: this.#link.call?.level("agent") ?? 0,
    }));
  }

  #render() {
    const now = shown(this.#state, performance.now(), this.#agent);
    showStage(now, this.#state, this.#agent.name);
    if (now.spoken !== this.#spoken) {
      this.#spoken = now.spoken;
      if (now.spoken) this.#announcer.say(now.spoken);
    }
    if (now.alarm !== this.#alarm) {
      this.#alarm = now.alarm;
      part("alarm").textContent = now.alarm;
    }
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
    if (this.#state.soundIsOpen) this.#dispatch({ type: "sound_toggled" });
    else if (this.#state.phase === "call") this.#leave("leave");
    else if (this.#state.phase === "connecting") this.#leave("cancel");
    else this.#begin(this.#state.hasMicrophone);
  }

  /** @param {"leave"|"cancel"} how */
  #leave(how) {
    this.#link.end();
    this.#dispatch({ type: how });
  }

  #toggleMute() {
    const call = this.#link.call;
    if (!call || this.#state.phase !== "call") return;
    if (!this.#state.hasMicrophone) {
      this.#useMicrophone();
      return;
    }
    if (this.#state.isMuted) call.unmute();
    else call.mute();
    this.#dispatch({ type: "muted", muted: call.muted });
  }

  #useMicrophone() {
    const call = this.#link.call;
    call?.setMicrophone(this.#sound.choices.microphone || true).then(
      () => this.#dispatch({ type: "microphone_on", muted: call.muted }),
      (error) => this.#dispatch({ type: "refused", message: error.message }),
    );
  }

  #togglePause() {
    if (this.#state.phase !== "call") return;
    if (this.#state.pausedBy) this.#link.call?.resume();
    else this.#link.call?.pause();
  }

  #toggleTyping() {
    this.#dispatch({ type: "type_toggled" });
    if (this.#state.isTyping) part("message").focus();
  }

  #send() {
    const field = /** @type {HTMLInputElement} */ (part("message"));
    const text = field.value.trim();
    if (!text || !this.#link.call || !this.#state.isLinked) return;
    this.#link.call.send(text);
    field.value = "";
  }

  #escape() {
    if (this.#state.soundIsOpen) this.#dispatch({ type: "sound_toggled" });
    else if (this.#state.phase === "connecting") this.#leave("cancel");
    else if (this.#state.phase !== "call") return;
    else if (escapeEnds(this.#state, performance.now())) this.#leave("leave");
    else this.#dispatch({ type: "escape" });
  }

  #save() {
    const { rows, dropped } = this.#transcript;
    const text = transcriptText(rows.values(), this.#agent.name, this.#began, dropped);
    const link = document.createElement("a");
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
    if (changed === "microphone" && this.#state.hasMicrophone) this.#useMicrophone();
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
    onClick("type-instead", () => this.#begin(false));
    onClick("read", () => this.#dispatch({ type: "reading_toggled" }));
    onClick("save", () => this.#save());
    part("type").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    document.addEventListener("keydown", (event) => {
      const target = document.activeElement;
      const action = actionOf(event, target, this.#sound.choices.lettersAct);
      if (action) event.preventDefault();
      actions[action]?.();
    });
    addEventListener("hashchange", () => this.#link.useToken(takeToken()));
    setInterval(() => this.#tick(), TICK_MS);
  }
}

/** @param {string} id @param {() => void} act */
function onClick(id, act) {
  part(id).addEventListener("click", (event) => {
    if (event.detail < 2) act(); // the second of a double click was not meant for what it changed
  });
}

/** The token of the address, which keeps none: it would be in the history. */
function takeToken() {
  const { token, rest } = tokenIn(location.href);
  if (token) history.replaceState(null, "", rest);
  return token;
}

new CallerPage();
