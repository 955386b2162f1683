/** What stands below the transcript of a call that has ended: its recording, or why there is none. */

import { made, put } from "../shared/elements.js";
import { Player } from "./player.js";

/** @typedef {import("./types").CallRecord} CallRecord */

/**
 * Why there is nothing to hear, "" if there is. Pure.
 *
 * @param {CallRecord | null} record
 * @param {string} [whyNone] why there is no record, if there will be none
 */
export function silenceWords(record, whyNone = "") {
  if (!record) return whyNone || "The record is being written.";
  const { recording } = record;
  if (recording?.file) return "";
  return recording?.failure || "This call was not recorded.";
}

/** @param {string} callId @returns {string} */
export function recordFileName(callId) {
  return `evibridge-${callId.replace(/[^\w.-]+/g, "_").slice(0, 80)}.json`;
}

/** @param {CallRecord} record is saved by the browser, as a file */
export function saveRecord(record) {
  const url = URL.createObjectURL(new Blob([JSON.stringify(record, null, 2)], { type: "application/json" }));
  const link = made("a");
  link.href = url;
  link.download = recordFileName(record.call_id);
  link.click();
  setTimeout(() => URL.revokeObjectURL(url));
}

export class CallEnd {
  element = made("div", "past");
  #line = made("p", "player muted");
  /** @type {Player | null} */
  #player = null;
  /** @type {CallRecord | null} */
  #record = null;
  #api;
  #onTime;

  /**
   * @param {Pick<import("./api.js").Api, "recording">} api
   * @param {(atS: number) => void} onTime
   */
  constructor(api, onTime) {
    this.#api = api;
    this.#onTime = onTime;
    this.element.append(this.#line);
  }

  /** @param {CallRecord | null} record null as long as it is not written @param {string} whyNone */
  show(record, whyNone) {
    put(this.#line, silenceWords(record, whyNone));
    this.#line.hidden = !this.#line.textContent;
    if (record === this.#record) return;
    this.close();
    this.#record = record;
    if (!record?.recording?.file) return;
    this.#player = new Player(this.element, {
      load: (onShare) =>
        this.#api.recording(record.call_id, (got, total) => onShare(total ? got / total : null)),
      onTime: this.#onTime,
      lengthS: record.recording.seconds,
    });
  }

  /** @param {number} atS */
  seek(atS) {
    this.#player?.seek(atS);
  }

  close() {
    this.#player?.close();
    this.#player = null;
    this.#record = null;
  }
}
