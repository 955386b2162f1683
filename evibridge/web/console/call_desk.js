/** The call that is open, followed and shown. It is loaded with the first call that is opened. */

import { CallView } from "./call_view.js";
import { OpenCall } from "./open_call.js";

/** @typedef {import("./types").Operator} Operator */
/** @typedef {import("./types").Service} Service */
/** @typedef {import("./types").Summary} Summary */
/**
 * @typedef {object} CallDeskParts
 * @property {import("./api.js").Api} api
 * @property {string | null} token
 * @property {() => Operator} me
 * @property {() => Service | null} service
 * @property {Promise<unknown>} ready it is known who the operator is
 * @property {{now(): number}} clock
 * @property {(callId: string) => Summary | undefined} live what the list knows of a call
 * @property {() => boolean} isStale the list does not come
 * @property {() => void} onBack
 * @property {(sentence: string, isUrgent?: boolean) => void} say tells it to screen readers
 * @property {(callId: string) => void} onTakeOver it is asked for here
 * @property {(isNews: boolean) => void} onTold something came of the call that is open
 * @property {(sentence: string) => void} onMissing nothing is known of the call; "" if there is after all
 */

export class CallDesk {
  #parts;
  #view;
  /** @type {OpenCall | null} */
  #call = null;

  /** @param {HTMLElement} section @param {CallDeskParts} parts */
  constructor(section, parts) {
    this.#parts = parts;
    this.#view = new CallView(section, parts);
  }

  /** The call, once something is known of it. */
  get call() {
    return this.#call?.story ? this.#call : null;
  }

  /** What keys do here. */
  get actions() {
    return this.#view.actions;
  }

  /** @param {string | null} callId null closes the one that is open */
  open(callId) {
    if (callId === (this.#call?.callId ?? null)) return;
    this.#call?.close();
    this.#view.close();
    this.#call = callId === null ? null : this.#follow(callId);
  }

  update() {
    if (this.call) this.#view.update();
  }

  tryNow() {
    this.#call?.tryNow();
  }

  /** @param {string} callId */
  #follow(callId) {
    const { api, token, me, ready, live, isStale, clock, onMissing, onTold } = this.#parts;
    /** @type {OpenCall} */
    const call = new OpenCall(callId, {
      api,
      token,
      me: async () => {
        await ready;
        return me().name;
      },
      live,
      isStale,
      now: () => clock.now(),
      onStory: () => {
        onMissing("");
        this.#view.show(/** @type {import("./call_view.js").OpenCall} */ (call));
        onTold(true);
      },
      onTold: (told) => {
        this.#view.update();
        onTold(told?.type !== "levels");
      },
      onMissing,
    });
    return call;
  }
}
