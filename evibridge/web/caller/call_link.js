/** Begins a call with the module, and passes on what happens in it. */

import { EvibridgeCall } from "../call/call.js";
import { whilePrompting } from "./microphone_prompt.js";
import { newToken } from "./session_token.js";

/** @typedef {import("./page_state.js").PageEvent} PageEvent */
/** @typedef {import("./sound_panel.js").Choices} Choices */

/**
 * Not `muted`: the service's word for it comes late, and again after a lost connection.
 * @type {(keyof import("../evibridge.js").CallEvents)[]}
 */
const PASSED_ON = [
  "welcome",
  "ready",
  "away",
  "transcript",
  "heard",
  "expression",
  "tool",
  "paused",
  "resumed",
  "held",
  "released",
  "ending",
  "ended",
  "refused",
  "state",
  "speaking",
  "error",
];

export class CallLink {
  #token;
  #onEvent;
  #onTokenUsed;
  #isClosed;
  #attempt;
  #isOpening;

  /**
   * @param {string} token of the link that brought the caller; "" for none
   * @param {(event: PageEvent) => void} onEvent
   * @param {() => void} onTokenUsed the token lets nobody in any more
   */
  constructor(token, onEvent, onTokenUsed) {
    this.#token = token;
    this.#onEvent = onEvent;
    this.#onTokenUsed = onTokenUsed;
    /** @type {EvibridgeCall | null} */
    this.call = null;
    this.#isClosed = false;
    this.#attempt = 0;
    this.#isOpening = false;
  }

  /** What lets another call begin. */
  get entry() {
    if (this.#token) return "link";
    return this.#isClosed ? "closed" : "open";
  }

  /**
   * Another link was followed.
   * @param {string} token
   */
  useToken(token) {
    this.#token = token;
  }

  /** @param {boolean} hasMicrophone @param {Choices} choices */
  async begin(hasMicrophone, choices) {
    this.#attempt += 1;
    const attempt = this.#attempt;
    this.#isOpening = hasMicrophone;
    const isWaiting = () => this.#isOpening && attempt === this.#attempt;
    if (hasMicrophone) void whilePrompting(isWaiting, () => this.#onEvent({ type: "prompted" }));
    try {
      await this.#connect(hasMicrophone && (choices.microphone || true), choices);
    } catch (error) {
      if (attempt === this.#attempt) this.#failed(error);
    }
  }

  /** Hang up, or stop connecting. */
  end() {
    this.#attempt += 1;
    void this.call?.end();
    this.call = null;
  }

  /**
   * A microphone that was chosen once and is not there any more is no reason to give up.
   * @param {string | boolean} microphone
   * @param {Choices} choices
   */
  async #connect(microphone, choices) {
    const attempt = this.#attempt;
    try {
      await this.#start(microphone, choices);
    } catch (/** @type {any} */ error) {
      const isGone = typeof microphone === "string" && error.code === "microphone_missing";
      if (!isGone || attempt !== this.#attempt) throw error;
      this.#onEvent({ type: "device_gone" });
      await this.#start(true, choices);
    }
  }

  /** @param {string | boolean} microphone @param {Choices} choices */
  async #start(microphone, { speaker, takesTurns }) {
    /** @type {EvibridgeCall} */
    const call = new EvibridgeCall({
      token: () => this.#tokenFor(call),
      microphone,
      speaker: speaker || undefined,
      halfDuplex: takesTurns,
    });
    this.call = call;
    for (const type of PASSED_ON) call.on(type, (event) => this.#passOn(call, event));
    await call.start();
    this.#passOn(call, { type: "welcome" });
  }

  /**
   * It is asked for once the microphone is open.
   * @param {EvibridgeCall} call
   * @returns {Promise<string>}
   */
  async #tokenFor(call) {
    this.#isOpening = false;
    this.#passOn(call, { type: "microphone_open" });
    return this.#token || (await newToken());
  }

  /** @param {EvibridgeCall} call @param {PageEvent} event */
  #passOn(call, event) {
    if (call !== this.call) return; // one that was left says goodbye
    if (event.type === "welcome") this.#used(); // it lets in once
    if (event.type === "state" && event.state === "ended") this.call = null;
    this.#onEvent(event);
  }

  /** @param {any} error */
  #failed({ code = "", message = "", retryAfterS }) {
    this.call = null;
    this.#isOpening = false;
    if (code.startsWith("token_")) this.#used();
    if (code === "link_needed") this.#isClosed = true;
    this.#onEvent({ type: "failed", code, message, retryAfterS });
  }

  #used() {
    if (!this.#token) return;
    this.#token = "";
    this.#isClosed = true;
    this.#onTokenUsed();
  }
}
