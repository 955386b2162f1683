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
 * @property {() => boolean} isStale the list does not come, and what it knows is old
 * @property {() => number} now ms
 * @property {(told: Told | null) => void} onTold the story has gone on, or something else is different
 * @property {(sentence: string) => void} onMissing nothing is known of the call
 */

const TRY_EVERY_MS = 1000;
/** So long a record takes to be written, mostly. */
const WRITTEN_AFTER_MS = 300;
/** Beyond it one is told that it takes time. */
const PATIENCE_MS = 1000;
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
  #isAsking = false;
  #isDue = false;
  /** @type {CallStory | null} */
  story = null;
  /** @type {CallRecord | null} */
  record = null;
  /** Why there is no record, once that is known. */
  whyNoRecord = "";
  /**
   * Since when nothing comes of it; null while it does.
   * @type {number | null}
   */
  lostAt = null;

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
    const { live, isStale } = this.#around;
    const isOld = this.#last && (this.#last.state === "ended" || isStale());
    if (!isOld) this.#last = live(this.#callId) ?? this.#last;
    return /** @type {Summary} */ (this.#last);
  }

  /** Ask how it is, if the list does not tell. */
  async refresh() {
    if (!this.#around.isStale()) return;
    this.#isDue = true;
    if (this.#isAsking) return;
    this.#isAsking = true;
    while (this.#isDue && this.#stream) {
      this.#isDue = false;
      const told = await this.#around.api.call(this.#callId).catch(() => null);
      if (told && this.#stream) this.#last = told;
    }
    this.#isAsking = false;
    if (!this.#isClosed) this.#around.onTold(null);
  }

  tryNow() {
    this.#stream?.tryNow();
  }

  close() {
    this.#isClosed = true;
    this.#stream?.close();
  }

  async #begin() {
    const { api, live, me, onStory, onMissing } = this.#around;
    const late = setTimeout(() => this.#isClosed || onMissing("Looking for this call."), PATIENCE_MS);
    this.#me = await me();
    try {
      this.#last = live(this.#callId) ?? (await this.#tried(() => api.call(this.#callId)));
    } catch (/** @type {any} */ error) {
      if (!this.#isClosed) onMissing(error.status === 404 ? "No call has this id." : error.message);
      return;
    } finally {
      clearTimeout(late);
    }
    if (this.#isClosed) return;
    this.story = new CallStory(Date.parse(this.summary().began_at), this.#me);
    if (this.summary().state !== "ended") this.#follow();
    else {
      this.story.end();
      onStory();
      await this.#read();
    }
  }

  #follow() {
    const { token, onStory, onTold, now } = this.#around;
    this.#stream = new EventStream({
      path: `v1/calls/${encodeURIComponent(this.#callId)}/events`,
      params: { since: "0", interim: "true", levels: "true" },
      token,
      onTold: (told) => this.#take(told),
      onState: (state) => {
        const isOver = state === "over" || state === "refused";
        this.lostAt = isOver || state === "open" ? null : (this.lostAt ?? now());
        if (isOver) void this.#ended("");
        else onTold(null);
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
    else if (told.type === "call_ended") void this.#ended(told.reason);
    else if (told.type !== "levels" && !told.interim) void this.refresh();
    this.#around.onTold(told);
  }

  /** @param {string} reason "" if it is not known yet */
  async #ended(reason) {
    if (!this.#stream) return;
    this.#stream.close();
    this.#stream = this.lostAt = null;
    this.story?.end();
    const last = this.summary();
    const ended = last.ended ?? /** @type {any} */ (this.story?.ending);
    this.#last = { ...last, state: "ended", end_reason: reason || last.end_reason, ended };
    this.#around.onTold(null);
    await pause(WRITTEN_AFTER_MS);
    await this.#read();
  }

  /** The record instead of the stream, which knew less of it. */
  async #read() {
    const { api, onStory, onTold } = this.#around;
    try {
      const record = await this.#tried(() => api.record(this.#callId));
      const last = await this.#tried(() => api.call(this.#callId));
      if (this.#isClosed) return;
      this.#last = last;
      this.record = record;
      this.story = storyOfRecord(record, this.#me, this.story);
      onStory();
    } catch (/** @type {any} */ error) {
      if (this.#isClosed) return;
      const isMissing = error.code === "record_not_found";
      this.whyNoRecord = isMissing ? "No record was written of this call." : error.message;
      onTold(null);
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
      await pause(TRY_EVERY_MS);
    }
  }
}

/** @param {number} ms */
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** @param {{status?: number}} error which asking again does not help with */
function isFinal({ status = 0 }) {
  return status >= 400 && status < 500 && status !== 429;
}
