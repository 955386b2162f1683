import { EvibridgeError, asCallError } from "./call_error.js";

/** @typedef {import("../evibridge.js").ErrorCode} ErrorCode */

/** The caller's microphone: opened, changed, switched off and on. */
export class Microphone {
  #onLost;
  /** @type {MediaStream | null} */
  #stream = null;
  #isEnabled = true;
  /** How often it was opened, or another one asked for. */
  #asked = 0;
  #isClosed = false;

  /** @param {() => void} onLost the device is gone, or its use was withdrawn */
  constructor(onLost) {
    this.#onLost = onLost;
  }

  /** What it brings; null for a caller who only types. */
  get stream() {
    return this.#stream;
  }

  /**
   * Open it, or go on with another one: the last that is asked for.
   *
   * @param {string | true} choice a `deviceId`, or true for the browser's choice
   * @returns {Promise<MediaStream | null>} null if yet another one was asked for meanwhile
   */
  async open(choice) {
    this.#asked += 1;
    const asked = this.#asked;
    const isWanted = () => asked === this.#asked && !this.#isClosed;
    const stream = await this.#opened(choice, isWanted);
    if (this.#isClosed) throw new EvibridgeError("caller_hung_up", "The call has ended.");
    if (!stream) return null;
    if (this.#stream) stop(this.#stream);
    this.#stream = stream;
    this.enable(this.#isEnabled);
    const [track] = stream.getAudioTracks();
    track.onended = () => this.#onLost();
    return stream;
  }

  /** @param {boolean} isEnabled whether anything is heard; silence flows where not */
  enable(isEnabled) {
    this.#isEnabled = isEnabled;
    for (const track of this.#stream?.getAudioTracks() ?? []) track.enabled = isEnabled;
  }

  close() {
    this.#isClosed = true;
    if (this.#stream) stop(this.#stream);
    this.#stream = null;
  }

  /**
   * @param {string | true} choice
   * @param {() => boolean} isWanted
   */
  async #opened(choice, isWanted) {
    try {
      return await openStream(choice, isWanted);
    } catch (error) {
      if (!isWanted()) return null;
      // Some systems open one microphone at a time.
      if (!(error instanceof EvibridgeError) || error.code !== "microphone_busy" || !this.#stream) throw error;
      stop(this.#stream);
      return openStream(choice, isWanted);
    }
  }
}

/**
 * @param {string | true} choice
 * @param {() => boolean} isWanted
 */
async function openStream(choice, isWanted) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new EvibridgeError("insecure_page", "Browsers open the microphone on https:// pages and on localhost only.");
  }
  try {
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: {
        echoCancellation: true,
        noiseSuppression: true,
        autoGainControl: true,
        ...(choice !== true && { deviceId: { exact: choice } }),
      },
    });
    if (isWanted()) return stream;
    stop(stream);
    return null;
  } catch (error) {
    throw microphoneError(error);
  }
}

/** @param {MediaStream} stream */
function stop(stream) {
  for (const track of stream.getTracks()) {
    track.onended = null;
    track.stop();
  }
}

const MISSING = "There is no such microphone: connect one, or choose another.";
const BUSY = "The microphone cannot be opened: another program may be using it.";
/** @type {Record<string, [ErrorCode, string]>} */
const ERRORS = {
  NotAllowedError: [
    "microphone_refused",
    "The microphone may not be used: allow it in the browser's settings for this page, and try again.",
  ],
  SecurityError: ["insecure_page", "Browsers open no microphone on this page: it has to come by https://."],
  NotFoundError: ["microphone_missing", MISSING],
  OverconstrainedError: ["microphone_missing", MISSING],
  NotReadableError: ["microphone_busy", BUSY],
  AbortError: ["microphone_busy", BUSY],
};

/**
 * Why there is no microphone.
 *
 * @param {unknown} error of getUserMedia
 */
export function microphoneError(error) {
  const [code, sentence] = ERRORS[error instanceof Error ? error.name : ""] ?? [];
  if (code && sentence) return new EvibridgeError(code, sentence);
  return asCallError(error, "microphone_busy", "The microphone cannot be opened.");
}
