import { EvibridgeError } from "./call_error.js";
import { Meter } from "./levels.js";
import { SoundContext } from "./sound_context.js";

/** @typedef {import("./sound_unlock.js").SoundUnlock} SoundUnlock */

/** Sound of a call by WebRTC: the browser itself plays the agent, and sends the microphone. */
export class PeerSound {
  #unlock;
  #context;
  #element = document.createElement("audio");
  /** @type {Meter | null} */
  #agent = null;
  /** @type {Meter | null} */
  #caller = null;
  /** @type {MediaStream | null} of which `#caller` is the measure */
  #heard = null;
  #play = () => {
    this.#element.play().then(
      () => this.#unlock.released(this.#play),
      // Another failure than a block is a stream that was replaced, and plays anew.
      (error) => error.name === "NotAllowedError" && this.#unlock.blocked(this.#play),
    );
  };

  underruns = 0;

  /** @param {SoundUnlock} unlock */
  constructor(unlock) {
    this.#unlock = unlock;
    this.#context = new SoundContext(unlock);
    this.#element.autoplay = true;
  }

  /**
   * Let the agent be heard.
   *
   * @param {MediaStreamTrack} track
   */
  play(track) {
    const stream = new MediaStream([track]);
    this.#element.srcObject = stream;
    this.#play();
    if (this.#agent) this.#renewContext();
    this.#agent = this.#meter(stream);
  }

  /**
   * Measure the caller, in this connection and those that follow.
   *
   * @param {MediaStream | null} stream of the microphone
   */
  hear(stream) {
    if (stream === this.#heard) return;
    this.#heard = stream;
    this.#caller?.close();
    this.#caller = null;
    try {
      this.#caller = stream && this.#meter(stream);
    } catch {
      // Firefox measures no microphone whose rate is not the system's; the call needs no measure of it.
    }
  }

  /** @param {"caller" | "agent"} who */
  level(who) {
    return (who === "agent" ? this.#agent : this.#caller)?.level() ?? 0;
  }

  /** @param {string} deviceId */
  async setSpeaker(deviceId) {
    await chooseSpeaker(this.#element, deviceId);
  }

  close() {
    this.#unlock.released(this.#play);
    this.#element.pause();
    this.#element.srcObject = null;
    this.#agent?.close();
    this.#caller?.close();
    this.#context.close();
  }

  /** Chromium keeps what streams have fed until the context is closed: each connection has its own. */
  #renewContext() {
    this.#agent?.close();
    this.#context.close();
    this.#context = new SoundContext(this.#unlock);
    const stream = this.#heard;
    this.hear(null);
    this.hear(stream);
  }

  /** @param {MediaStream} stream */
  #meter(stream) {
    return new Meter(this.#context.context.createMediaStreamSource(stream));
  }
}

/**
 * @param {object} output an audio element or context
 * @param {string} deviceId
 */
export async function chooseSpeaker(output, deviceId) {
  const { setSinkId } = /** @type {{setSinkId?: (deviceId: string) => Promise<void>}} */ (output);
  if (!setSinkId) {
    throw new EvibridgeError(
      "speaker_unavailable",
      "This browser does not let pages choose a speaker: choose it in the system's settings.",
    );
  }
  try {
    await setSinkId.call(output, deviceId);
  } catch {
    throw new EvibridgeError("speaker_unavailable", "There is no such speaker: connect it, or choose another.");
  }
}
