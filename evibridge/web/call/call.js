import { EvibridgeError, asCallError } from "./call_error.js";
import { addressOf, tokenSource, waysOf } from "./call_options.js";
import { CallSound } from "./call_sound.js";
import { Connection } from "./connection.js";
import { Audible, HalfDuplexGate } from "./half_duplex.js";
import { Listeners } from "./listeners.js";
import { Microphone } from "./microphone.js";
import { MuteReport } from "./mute_report.js";
import { PagePolicy } from "./page_policy.js";
import { SoundUnlock } from "./sound_unlock.js";
import { unlessAborted } from "./waiting.js";
import { WebRtcTransport } from "./webrtc_transport.js";
import { WebSocketTransport } from "./websocket_transport.js";

/** @typedef {import("../evibridge.js").EvibridgeCall} PublicCall */
/** @typedef {import("../evibridge.js").CallOptions} CallOptions */
/** @typedef {import("../evibridge.js").CallEvents} CallEvents */
/** @typedef {import("../evibridge.js").CallState} CallState */
/** @typedef {import("../evibridge.js").EndedMessage} EndedMessage */
/** @typedef {import("../evibridge.js").PageMessage} PageMessage */
/** @typedef {import("../evibridge.js").ServiceMessage} ServiceMessage */
/** @typedef {"webrtc" | "websocket"} Way */

/** The agent's sound is looked at so often. */
const LOOK_EACH_MS = 50;
/** A service that does not confirm the end by then is not waited for. */
const ENDS_WITHIN_MS = 1000;
/** What the page has of the agent's last word is played in this time. */
const SOUNDS_ON_FOR_MS = 200;
/** Where the service is: this file is below its /web/call/. */
const HOME = new URL("../../", import.meta.url).href;

const nowS = () => performance.now() / 1000;

/**
 * One call. An object is used once.
 *
 * @implements {PublicCall}
 */
export class EvibridgeCall {
  #server;
  #ways;
  #wanted;
  #getToken;
  #listeners = new Listeners();
  #microphone;
  #sound;
  #connection;
  #policy;
  /** @type {CallState} */
  #state = "idle";
  #isPaused = false;
  #isMuted = false;
  #muteReport = new MuteReport();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #muteTimer;
  #halfDuplex;
  #audible = new Audible();
  #gate = new HalfDuplexGate();
  #ending = new AbortController();
  /** @type {(() => void)[]} */
  #onOver = [];
  #connectedAtS = nowS();
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #lookTimer;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #endTimer;
  #leave = () => {
    this.#connection.abandon();
    this.#finish(this.#endedHere("caller_hung_up", "You have ended the call."));
  };

  /** @param {CallOptions} options */
  constructor({ token, server = HOME, transport = "auto", microphone = true, speaker, halfDuplex = false }) {
    this.#server = addressOf(server);
    this.#ways = waysOf(transport);
    this.#getToken = tokenSource(token);
    this.#wanted = microphone;
    this.#halfDuplex = halfDuplex;
    this.#policy = new PagePolicy(document, this.#server);
    this.#microphone = new Microphone(() =>
      this.#tellError("microphone_lost", "The microphone is gone: connect it, or choose another."),
    );
    const unlock = new SoundUnlock(document, () =>
      this.#tellError("sound_blocked", "The browser plays no sound yet: click on the page, or press a key."),
    );
    this.#sound = new CallSound(unlock, speaker, ({ code, message }) => this.#tellError(code, message));
    this.#connection = this.#newConnection();
  }

  get state() {
    return this.#state;
  }

  get muted() {
    return this.#isMuted;
  }

  get paused() {
    return this.#isPaused;
  }

  get callId() {
    return this.#connection.callId;
  }

  get transport() {
    return this.#connection.way;
  }

  get underruns() {
    return this.#sound.underruns;
  }

  get halfDuplex() {
    return this.#halfDuplex;
  }

  set halfDuplex(isOn) {
    this.#halfDuplex = isOn;
    this.#switchMicrophone();
  }

  async start() {
    if (this.#state !== "idle") {
      throw new EvibridgeError("already_started", "This call was used: make a new EvibridgeCall for a new call.");
    }
    this.#enter("connecting");
    window.addEventListener("pagehide", this.#leave);
    try {
      // Now, in the click: browsers let sound begin that is asked for in one.
      this.#prepareSound(this.#ways[0]);
      if (this.#wanted !== false) await unlessAborted(this.#microphone.open(this.#wanted), this.#ending.signal);
      await this.#connection.connect(await unlessAborted(this.#getToken(), this.#ending.signal));
    } catch (error) {
      const failure = await this.#explained(error);
      if (this.state !== "ended") this.#connection.abandon();
      this.#finish(null);
      throw failure;
    }
    this.#connectedAtS = nowS();
    this.#lookTimer = setInterval(() => this.#look(), LOOK_EACH_MS);
    this.#connected();
  }

  /** @returns {Promise<void>} */
  end() {
    if (this.#state === "ended") return Promise.resolve();
    const over = new Promise((resolve) => this.#onOver.push(() => resolve(undefined)));
    this.#microphone.close();
    if (this.#state === "connected") {
      this.#connection.send({ type: "end" });
      this.#endTimer ??= setTimeout(this.#leave, ENDS_WITHIN_MS);
    } else {
      this.#leave();
    }
    return over;
  }

  pause() {
    this.#command({ type: "pause" });
  }

  resume() {
    this.#command({ type: "resume" });
  }

  /** @param {string} text */
  send(text) {
    this.#command({ type: "text", text });
  }

  mute() {
    this.#setMuted(true);
  }

  unmute() {
    this.#setMuted(false);
  }

  /** @param {string | true} microphone */
  async setMicrophone(microphone) {
    if (this.#state !== "connected" && this.#state !== "reconnecting") throw notConnected();
    try {
      const stream = await this.#microphone.open(microphone);
      if (stream) await this.#connection.replaceMicrophone(stream);
    } catch (error) {
      throw asCallError(error, "microphone_busy", "The microphone cannot be used in this call.");
    }
  }

  /** @param {string} deviceId */
  async setSpeaker(deviceId) {
    await this.#sound.setSpeaker(deviceId);
  }

  /** @param {"caller" | "agent"} who */
  level(who) {
    return this.#sound.level(who);
  }

  /**
   * @template {keyof CallEvents} Type
   * @param {Type} type
   * @param {(event: CallEvents[Type]) => void} listener
   */
  on(type, listener) {
    return this.#listeners.on(type, listener);
  }

  // Beginning

  #newConnection() {
    return new Connection({
      server: this.#server,
      ways: this.#ways,
      newTransport: (way, listener) =>
        way === "webrtc"
          ? new WebRtcTransport(this.#server, this.#sound.byPeer(), this.#microphone, listener)
          : new WebSocketTransport(this.#server, this.#sound.byStream(), this.#microphone, listener),
      listener: {
        onMessage: (message) => this.#receive(message),
        onReconnecting: () => this.#enter("reconnecting"),
        onReconnected: () => this.#connected(),
        onGone: (error) => this.#gone(error),
      },
      network: window,
      nowS,
    });
  }

  /** @param {Way} way */
  #prepareSound(way) {
    try {
      if (way === "webrtc") this.#sound.byPeer();
      else this.#sound.byStream();
    } catch (error) {
      throw asCallError(error, "blocked", "The browser plays no sound.");
    }
  }

  /** @param {unknown} error of ours, or of the page's function that gets a token */
  async #explained(error) {
    // What a page's policy forbids is told of a moment after it has failed.
    await new Promise((resolve) => setTimeout(resolve));
    return error instanceof EvibridgeError ? this.#policy.explain(error) : error;
  }

  #connected() {
    this.#enter("connected");
    this.#tellMuted(this.#muteReport.tellAgain(this.#isMuted));
  }

  // In the call

  /** @param {ServiceMessage} message */
  #receive(message) {
    if (message.type === "ended") {
      const hasHungUp = this.#endTimer !== undefined;
      this.#finish(message, hasHungUp ? 0 : SOUNDS_ON_FOR_MS);
      return;
    }
    if (message.type === "refused" && message.command === "mute") {
      this.#tellMutedLater(message.retry_after_s);
      return;
    }
    if (message.type === "paused") this.#isPaused = true;
    if (message.type === "resumed") this.#isPaused = false;
    this.#listeners.emit(/** @type {any} */ (message.type), /** @type {any} */ (message));
  }

  /** @param {PageMessage} message */
  #command(message) {
    if (this.#state !== "connected") throw notConnected();
    this.#connection.send(message);
  }

  /** @param {boolean} isMuted */
  #setMuted(isMuted) {
    this.#isMuted = isMuted;
    this.#switchMicrophone();
    if (this.#state === "connected") this.#tellMuted(this.#muteReport.tell(isMuted));
  }

  /** @param {boolean} isDue */
  #tellMuted(isDue) {
    if (isDue) this.#connection.send({ type: "mute", muted: this.#isMuted });
  }

  /** It is no matter of the caller's: his microphone is off already. */
  #tellMutedLater(waitS = 1) {
    clearTimeout(this.#muteTimer);
    this.#muteTimer = setTimeout(() => {
      if (this.#state === "connected") this.#tellMuted(this.#muteReport.tellAgain(this.#isMuted));
    }, waitS * 1000);
  }

  #look() {
    if (this.#audible.update(this.#sound.level("agent"), nowS())) this.#tellSpeaking(this.#audible.isHeard);
    this.#switchMicrophone();
  }

  #switchMicrophone() {
    const isOpen = this.#gate.isOpen(this.#audible.isHeard, nowS());
    this.#microphone.enable(!this.#isMuted && (isOpen || !this.#halfDuplex));
  }

  /** @param {boolean} speaking */
  #tellSpeaking(speaking) {
    this.#listeners.emit("speaking", { type: "speaking", speaking });
  }

  /**
   * @param {import("../evibridge.js").ErrorCode} code
   * @param {string} message
   */
  #tellError(code, message) {
    this.#listeners.emit("error", { type: "error", code, message });
  }

  /** @param {CallState} state */
  #enter(state) {
    if (this.#state === "ended" || this.#state === state) return;
    this.#state = state;
    this.#listeners.emit("state", { type: "state", state });
  }

  // End

  /** @param {EvibridgeError} error */
  #gone({ code, message }) {
    this.#tellError(code, message);
    const isTaken = code === "taken_over";
    this.#finish(
      this.#endedHere(
        isTaken ? "taken_over" : "caller_lost",
        isTaken ? message : "Your connection was lost. Please call again.",
      ),
    );
  }

  /**
   * @param {string} reason
   * @param {string} sentence
   * @returns {EndedMessage}
   */
  #endedHere(reason, sentence) {
    const isConnected = this.#state === "connected" || this.#state === "reconnecting";
    const seconds = isConnected ? Math.round(nowS() - this.#connectedAtS) : 0;
    return { type: "ended", reason, sentence, seconds };
  }

  /**
   * @param {EndedMessage | null} ended null for a call that did not come to be
   * @param {number} soundsOnForMs how long what has arrived is still heard
   */
  #finish(ended, soundsOnForMs = 0) {
    if (this.#state === "ended") return;
    clearInterval(this.#lookTimer);
    clearTimeout(this.#endTimer);
    clearTimeout(this.#muteTimer);
    window.removeEventListener("pagehide", this.#leave);
    this.#ending.abort(new EvibridgeError("caller_hung_up", "The call was ended before it was connected."));
    this.#connection.close(soundsOnForMs);
    this.#microphone.close();
    if (soundsOnForMs > 0) setTimeout(() => this.#sound.close(), soundsOnForMs);
    else this.#sound.close();
    this.#policy.close();
    this.#state = "ended";
    if (this.#audible.isHeard) this.#tellSpeaking(false);
    if (ended) this.#listeners.emit("ended", ended);
    this.#listeners.emit("state", { type: "state", state: "ended" });
    for (const over of this.#onOver) over();
  }
}

const notConnected = () => new EvibridgeError("not_connected", "The call is not connected: wait until its state is.");
