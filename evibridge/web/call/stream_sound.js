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
  /** @type {MediaStream | null} the microphone, as soon as it is wanted */
  #heard = null;
  #hearing = Promise.resolve();
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
   * Cut what the microphone brings into frames from now on; the one that was named last is heard.
   *
   * @param {MediaStream | null} stream
   */
  hear(stream) {
    if (stream && stream !== this.#heard) {
      this.#heard = stream;
      this.#hearing = this.#record(stream).catch((error) => {
        if (stream === this.#heard) this.#heard = null;
        throw error;
      });
    }
    return this.#hearing;
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

  /** @param {MediaStream} stream */
  async #record(stream) {
    const source = this.#sourceOf(stream);
    const recorder = await this.#openRecorder(source.context);
    if (stream !== this.#heard) return;
    this.#caller?.close();
    this.#caller = new Meter(source);
    source.connect(recorder);
  }

  /** @param {MediaStream} stream */
  #sourceOf(stream) {
    this.#capture ??= new SoundContext(this.#unlock, CAPTURE_RATE_HZ);
    try {
      return this.#capture.context.createMediaStreamSource(stream);
    } catch (error) {
      // Firefox takes a microphone at the system's rate only.
      if (this.#recorder || !(error instanceof DOMException)) throw error;
      this.#capture.close();
      this.#capture = new SoundContext(this.#unlock);
      return this.#capture.context.createMediaStreamSource(stream);
    }
  }

  /** @param {BaseAudioContext} context */
  async #openRecorder(context) {
    if (this.#recorder) return this.#recorder;
    await addWorklet(context, new URL("./capture_worklet.js", import.meta.url));
    if (this.#isClosed) throw new EvibridgeError("caller_hung_up", "The call has ended.");
    return (this.#recorder ??= this.#newRecorder(context));
  }

  /** @param {BaseAudioContext} context */
  #newRecorder(context) {
    const recorder = new AudioWorkletNode(context, "evibridge-capture", {
      channelCount: 1,
      channelCountMode: "explicit",
      outputChannelCount: [1],
    });
    recorder.port.onmessage = ({ data }) => this.listener?.onFrame(data);
    // Its output is silence: some browsers run only what leads to a speaker.
    recorder.connect(context.destination);
    return recorder;
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
 * @param {BaseAudioContext} context
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
