/** What an operator hears of a call and says into it. What does it is loaded when it is first wanted. */

/** @typedef {"off"|"connecting"|"on"|"failed"} SoundState */
/**
 * @typedef {object} SoundParts
 * @property {import("./api.js").Api} api
 * @property {string} callId
 * @property {() => {url: URL, protocols: string[]}} audio where the call is heard, and who hears it
 * @property {() => RTCIceServer[]} iceServers
 * @property {(sentence: string, isUrgent: boolean) => void} note takes why something failed; it is urgent if
 *   the caller does not hear the operator any more
 * @property {() => void} onChange
 */

const LOADERS = { listener: () => import("./listen.js"), speaker: () => import("./speak.js") };

export class CallSound {
  /** @type {SoundState} */
  hearing = "off";
  /** @type {SoundState} */
  speaking = "off";
  #parts;
  #loaders;
  /** @type {{start(): unknown, stop(): unknown} | null} */
  #listener = null;
  /** @type {{start(): unknown, stop(): unknown, level(): number} | null} */
  #speaker = null;
  #hearsAfterwards = false;
  /** What was begun before this number counts no more. */
  #turn = { hearing: 0, speaking: 0 };

  /**
   * @param {SoundParts} parts
   * @param {typeof LOADERS} [loaders]
   */
  constructor(parts, loaders = LOADERS) {
    this.#parts = parts;
    this.#loaders = loaders;
  }

  get isHearing() {
    return isOn(this.hearing);
  }

  get isSpeaking() {
    return isOn(this.speaking);
  }

  /** How loud the operator is, from 0 to 1. */
  level() {
    return this.#speaker?.level() ?? 0;
  }

  async listen() {
    if (this.isSpeaking) return;
    await this.#start("hearing", async (tell) => {
      const { Listener } = await this.#loaders.listener();
      return () => {
        this.#listener = new Listener({ ...this.#parts.audio(), onState: tell });
        return this.#listener.start();
      };
    });
  }

  /** The caller is heard over the same connection, so that nobody hears him twice. */
  async speak() {
    this.#hearsAfterwards = this.isHearing;
    this.stopListening();
    await this.#start("speaking", async (tell) => {
      const { Speaker } = await this.#loaders.speaker();
      const { callId, iceServers } = this.#parts;
      const api = /** @type {any} */ (this.#parts.api);
      return () => {
        this.#speaker = new Speaker({ api, callId, iceServers: iceServers(), onState: tell });
        return this.#speaker.start();
      };
    });
  }

  stopListening() {
    this.#stop("hearing", this.#listener);
    this.#listener = null;
  }

  stopSpeaking() {
    this.#stop("speaking", this.#speaker);
    this.#speaker = null;
  }

  /** The call is left. */
  close() {
    this.#hearsAfterwards = false;
    this.stopSpeaking();
    this.stopListening();
  }

  /**
   * @param {"hearing"|"speaking"} what
   * @param {(tell: (state: SoundState, sentence?: string) => void) => Promise<() => unknown>} load
   */
  async #start(what, load) {
    if (isOn(this[what])) return;
    const turn = ++this.#turn[what];
    const isStale = () => turn !== this.#turn[what];
    /** @param {SoundState} state @param {string} [sentence] */
    const tell = (state, sentence = "") => {
      if (!isStale()) this.#become(what, state, sentence);
    };
    tell("connecting");
    try {
      const begin = await load(tell);
      if (!isStale()) await begin();
    } catch (error) {
      tell("failed", error instanceof Error ? error.message : String(error));
    }
  }

  /** @param {"hearing"|"speaking"} what @param {{stop(): unknown} | null} which */
  #stop(what, which) {
    this.#turn[what] += 1;
    which?.stop();
    if (this[what] !== "off") this.#become(what, "off", "");
  }

  /** @param {"hearing"|"speaking"} what @param {SoundState} state @param {string} sentence */
  #become(what, state, sentence) {
    if (this[what] === state) return;
    const isUrgent = what === "speaking" && this.speaking === "on";
    this[what] = state;
    if (sentence) this.#parts.note(sentence, isUrgent);
    this.#parts.onChange();
    if (what === "speaking" && !this.isSpeaking && this.#hearsAfterwards) {
      this.#hearsAfterwards = false;
      void this.listen();
    }
  }
}

/** @param {SoundState} state */
function isOn(state) {
  return state === "on" || state === "connecting";
}
