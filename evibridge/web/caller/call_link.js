/** Begins a call with the module, and passes on what happens in it. */

import { EvibridgeCall } from "../call/call.js";
import { newToken } from "./session_token.js";

/** @typedef {import("./page_state.js").PageEvent} PageEvent */
/** @typedef {import("./sound_panel.js").Choices} Choices */

/** @type {(keyof import("../evibridge.js").CallEvents)[]} */
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
  "muted",
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
  #attempt;

  /**
   * @param {string} token of the link that brought the caller; "" for none
   * @param {(event: PageEvent) => void} onEvent
   */
  constructor(token, onEvent) {
    this.#token = token;
    this.#onEvent = onEvent;
    /** @type {EvibridgeCall | null} */
    this.call = null;
    this.#attempt = 0;
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
    try {
      const token = this.#token || (await newToken());
      if (attempt === this.#attempt) await this.#connect(token, hasMicrophone, choices);
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

  /** @param {string} token @param {boolean} hasMicrophone @param {Choices} choices */
  async #connect(token, hasMicrophone, { microphone, speaker, takesTurns }) {
    const call = new EvibridgeCall({
      token,
      microphone: hasMicrophone && (microphone || true),
      speaker: speaker || undefined,
      halfDuplex: takesTurns,
    });
    this.call = call;
    for (const type of PASSED_ON) call.on(type, (event) => this.#passOn(call, event));
    await call.start();
    if (call === this.call) this.#passOn(call, { type: "welcome" });
  }

  /** @param {EvibridgeCall} call @param {PageEvent} event */
  #passOn(call, event) {
    if (call !== this.call) return; // one that was left says goodbye
    if (event.type === "welcome") this.#token = ""; // it lets in once
    if (event.type === "state" && event.state === "ended") this.call = null;
    this.#onEvent(event);
  }

  /** @param {any} error */
  #failed({ code = "", message = "", retryAfterS }) {
    this.call = null;
    if (code.startsWith("token_")) this.#token = "";
    this.#onEvent({ type: "failed", code, message, retryAfterS });
  }
}
