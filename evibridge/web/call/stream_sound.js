import { EvibridgeError, asCallError } from "./call_error.js";
import { Meter } from "./levels.js";
import { chooseSpeaker } from "./peer_sound.js";
import { SoundContext } from "./sound_context.js";

/** @typedef {import("./sound_unlock.js").SoundUnlock} SoundUnlock */

const CAPTURE_RATE_HZ = 16000;
const PLAYBACK_RATE_HZ = 24000;

/**
 * What the sound of a call by WebSocket tells.
 *
 * @typedef {object} StreamListener
 * @property {(pcm: ArrayBuffer) => void} onFrame 20 ms of the microphone, int16 mono PCM
 * @property {(name: string) => void} onMark all audio before the mark was played or dropped
 * @property {() => void} onTick about once a second, also in hidden tabs
 */

/** Sound of a call by WebSocket: worklets play what comes, and cut the microphone into frames. */
export class StreamSound {
  #unlock;
  #playback;
  /** @type {AudioWorkletNode | null} */
  #player = null;
  /** @type {Meter | null} */
  #agent = null;
  /** @type {SoundContext | null} */
  #capture = null;
  /** @type {AudioWorkletNode | null} */
  #recorder = null;
  /** @type {Meter | null} */
  #caller = null;
  #isClosed = false;
  /** @type {StreamListener | null} who is told; null drops what comes */
  listener = null;
  underruns = 0;

  /** @param {SoundUnlock} unlock */
  constructor(unlock) {
    this.#unlock = unlock;
    this.#playback = new SoundContext(unlock, PLAYBACK_RATE_HZ);
  }

  /** Rate of what is given to `play`. */
  get playbackRateHz() {
    return this.#playback.context.sampleRate;
  }

  /** Rate of what `onFrame` is given. */
  get captureRateHz() {
    return this.#capture?.context.sampleRate ?? CAPTURE_RATE_HZ;
  }

  /** Get ready to play. May be called again. */
  async open() {
    if (this.#player) return;
    const { context } = this.#playback;
    await addWorklet(context, new URL("./playback_worklet.js", import.meta.url));
    if (this.#isClosed || this.#player) return;
    this.#player = new AudioWorkletNode(context, "evibridge-playback", {
      numberOfInputs: 0,
      outputChannelCount: [1],
    });
    this.#player.port.onmessage = ({ data }) => this.#played(data);
    this.#agent = new Meter(this.#player);
    this.#player.connect(context.destination);
  }

  /**
   * Cut what the microphone brings into frames from now on.
   *
   * @param {MediaStream | null} stream
   */
  async hear(stream) {
    if (!stream) return;
    const capture = this.#capture ?? new SoundContext(this.#unlock, CAPTURE_RATE_HZ);
    this.#capture = capture;
    try {
      await this.#record(capture.context, stream);
    } catch (error) {
      // Firefox takes a microphone at the system's rate only.
      if (this.#recorder || !(error instanceof DOMException)) throw error;
      capture.close();
      this.#capture = new SoundContext(this.#unlock);
      await this.#record(this.#capture.context, stream);
    }
  }

  /** @param {ArrayBuffer} pcm int16 mono at `playbackRateHz` */
  play(pcm) {
    // Half a sample comes from no service of ours.
    if (pcm.byteLength % 2 === 0) this.#player?.port.postMessage(pcm, [pcm]);
  }

  /** @param {string} name */
  mark(name) {
    this.#player?.port.postMessage({ mark: name });
  }

  /** Drop what was not played yet. */
  clear() {
    this.#player?.port.postMessage("clear");
  }

  /** @param {"caller" | "agent"} who */
  level(who) {
    return (who === "agent" ? this.#agent : this.#caller)?.level() ?? 0;
  }

  /** @param {string} deviceId */
  async setSpeaker(deviceId) {
    await chooseSpeaker(this.#playback.context, deviceId);
  }

  close() {
    this.#isClosed = true;
    this.listener = null;
    if (this.#player) this.#player.port.onmessage = null;
    if (this.#recorder) this.#recorder.port.onmessage = null;
    this.#caller?.close();
    this.#playback.close();
    this.#capture?.close();
  }

  /**
   * @param {AudioContext} context
   * @param {MediaStream} stream
   */
  async #record(context, stream) {
    const source = context.createMediaStreamSource(stream);
    if (!this.#recorder) {
      await addWorklet(context, new URL("./capture_worklet.js", import.meta.url));
      if (this.#isClosed) throw new EvibridgeError("caller_hung_up", "The call has ended.");
      this.#recorder = new AudioWorkletNode(context, "evibridge-capture", {
        channelCount: 1,
        channelCountMode: "explicit",
        outputChannelCount: [1],
      });
      this.#recorder.port.onmessage = ({ data }) => this.listener?.onFrame(data);
      // Its output is silence: some browsers run only what leads to a speaker.
      this.#recorder.connect(context.destination);
    }
    this.#caller?.close();
    this.#caller = new Meter(source);
    source.connect(this.#recorder);
  }

  /** @param {{marks?: string[], underruns?: number}} report */
  #played({ marks, underruns }) {
    for (const name of marks ?? []) this.listener?.onMark(name);
    if (underruns === undefined) return;
    this.underruns = underruns;
    this.listener?.onTick();
  }
}

/**
 * @param {AudioContext} context
 * @param {URL} url
 */
async function addWorklet(context, url) {
  if (!context.audioWorklet) {
    throw new EvibridgeError("insecure_page", "Browsers play a call on https:// pages and on localhost only.");
  }
  try {
    await context.audioWorklet.addModule(url);
  } catch (error) {
    throw asCallError(error, "unreachable", `${url.href} cannot be loaded.`);
  }
}
