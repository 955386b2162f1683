/** One call that is open: told by its stream while it goes on, and by its record once it has ended. */

import { CallStory, storyOfRecord } from "./call_story.js";
import { EventStream } from "./event_stream.js";

/** @typedef {import("./api.js").Api} Api */
/** @typedef {import("./types").CallRecord} CallRecord */
/** @typedef {import("./types").Summary} Summary */
/** @typedef {import("./types").Told} Told */
/**
 * @typedef {object} Surroundings
 * @property {Api} api
 * @property {string | null} token
 * @property {() => Promise<string>} me name of the operator
 * @property {(callId: string) => Summary | undefined} live what the list knows of it
 * @property {() => void} onStory there is a story, or another one: the record's instead of the stream's
 * @property {() => void} onTold the story has gone on
 * @property {(sentence: string) => void} onMissing nothing is known of the call
 */

const TRY_EVERY_MS = 1000;
/** A record is written in a moment after the call's end; a server may be restarted meanwhile. */
const MOST_TRIES = 30;

export class OpenCall {
  #callId;
  #around;
  /** @type {Summary | undefined} */
  #last;
  /** @type {EventStream | null} */
  #stream = null;
  #me = "";
  #isClosed = false;
  /** @type {CallStory | null} */
  story = null;
  /** @type {CallRecord | null} */
  record = null;

  /**
   * @param {string} callId
   * @param {Surroundings} around
   */
  constructor(callId, around) {
    this.#callId = callId;
    this.#around = around;
    void this.#begin();
  }

  get callId() {
    return this.#callId;
  }

  /** @returns {Summary} as it is by now; there is one as soon as there is a story */
  summary() {
    if (this.#last?.state !== "ended") this.#last = this.#around.live(this.#callId) ?? this.#last;
    return /** @type {Summary} */ (this.#last);
  }

  tryNow() {
    this.#stream?.tryNow();
  }

  close() {
    this.#isClosed = true;
    this.#stream?.close();
  }

  async #begin() {
    const { api, live, me, onMissing } = this.#around;
    this.#me = await me();
    try {
      this.#last = live(this.#callId) ?? (await this.#tried(() => api.call(this.#callId)));
    } catch (/** @type {any} */ error) {
      if (!this.#isClosed) onMissing(error.status === 404 ? "No call has this id." : error.message);
      return;
    }
    if (this.#isClosed) return;
    if (this.summary().state === "ended") await this.#read();
    else this.#follow();
  }

  #follow() {
    const { token, onStory } = this.#around;
    this.story = new CallStory(Date.parse(this.summary().began_at), this.#me);
    this.#stream = new EventStream({
      path: `v1/calls/${encodeURIComponent(this.#callId)}/events`,
      params: { since: "0", interim: "true", levels: "true" },
      token,
      onTold: (told) => this.#take(told),
      onState: (state) => {
        if (state === "over" || state === "refused") void this.#ended("");
      },
      check: () => this.#check(),
    });
    onStory();
  }

  /** Why there is no stream: the call may be over, and long forgotten. */
  async #check() {
    try {
      const { state } = await this.#around.api.call(this.#callId);
      return state === "ended" ? "over" : "retry";
    } catch (/** @type {any} */ error) {
      return isFinal(error) ? "over" : "retry";
    }
  }

  /** @param {Told} told */
  #take(told) {
    this.story?.take(told);
    if (told.type === "snapshot") this.#last = told.call;
    if (told.type === "call_ended") void this.#ended(told.reason);
    this.#around.onTold();
  }

  /** @param {string} reason "" if it is not known yet */
  async #ended(reason) {
    if (!this.#stream) return;
    this.#stream.close();
    this.#stream = null;
    const { end_reason: known } = this.summary();
    this.#last = { ...this.summary(), state: "ended", end_reason: reason || known };
    this.#around.onTold();
    await this.#read();
  }

  /** The record instead of the stream, which knew less of it. */
  async #read() {
    const { api, onStory, onMissing } = this.#around;
    try {
      const record = await this.#tried(() => api.record(this.#callId));
      const last = await this.#tried(() => api.call(this.#callId));
      if (this.#isClosed) return;
      this.#last = last;
      this.record = record;
      this.story = storyOfRecord(record, this.#me);
      onStory();
    } catch (/** @type {any} */ error) {
      if (!this.story && !this.#isClosed) onMissing(error.message);
    }
  }

  /**
   * Ask again, as long as it may yet come.
   *
   * @template Answer
   * @param {() => Promise<Answer>} ask
   * @returns {Promise<Answer>}
   */
  async #tried(ask) {
    for (let tries = 1; ; tries += 1) {
      try {
        return await ask();
      } catch (/** @type {any} */ error) {
        const isYetToCome = error.code === "record_not_found";
        if ((isFinal(error) && !isYetToCome) || this.#isClosed || tries >= MOST_TRIES) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, TRY_EVERY_MS));
    }
  }
}

/** @param {{status?: number}} error which asking again does not help with */
function isFinal({ status = 0 }) {
  return status >= 400 && status < 500 && status !== 429;
}
