import { parseMessage } from "../call/messages.js";
import { SoundContext } from "../call/sound_context.js";
import { SoundUnlock } from "../call/sound_unlock.js";

/** Why a WebSocket is closed: the call has ended. */
const OVER = 1000;
const AGAIN_AFTER_MS = 1000;
/** Sound comes 20 times a second: a link from which nothing comes for so long is dead. */
const DEAD_AFTER_MS = 5000;

/** Lets an operator hear a call. */
export class Listener {
  #options;
  /** @type {"both" | "caller"} */
  #side = "both";
  /** @type {SoundContext | null} */
  #sound = null;
  /** @type {AudioWorkletNode | null} */
  #player = null;
  /** @type {WebSocket | null} */
  #socket = null;
  #isOn = false;
  /**
   * Until the next try, or until nothing came for too long.
   *
   * @type {ReturnType<typeof setTimeout> | undefined}
   */
  #timer;

  /**
   * @param {object} options
   * @param {string | URL} options.url of the call's sound, `wss://…/v1/calls/<id>/audio`
   * @param {string[]} options.protocols that show who listens
   * @param {(state: "off" | "connecting" | "on" | "failed", sentence: string) => void} options.onState
   */
  constructor(options) {
    this.#options = options;
  }

  /** Whether both are heard, or the caller alone. */
  get side() {
    return this.#side;
  }

  set side(side) {
    this.#side = side;
    this.#choose();
  }

  /** Begin to listen; to be called from a click, as browsers make no sound before one. */
  async start() {
    if (this.#sound) return;
    this.#options.onState("connecting", "");
    const sound = (this.#sound = new SoundContext(new SoundUnlock(document, () => {})));
    const { context } = sound;
    try {
      await context.audioWorklet.addModule(new URL("./listen_worklet.js", import.meta.url));
    } catch {
      // Browsers have worklets on https:// pages and on localhost only.
      if (sound === this.#sound) this.#end("this page cannot play it. Open it by https:// and try again.");
    }
    if (sound !== this.#sound) return;
    this.#player = new AudioWorkletNode(context, "evibridge-listen", { outputChannelCount: [2] });
    this.#player.connect(context.destination);
    this.#choose();
    this.#connect();
  }

  /** Listen no more. */
  stop() {
    if (this.#sound) this.#end("");
  }

  #choose() {
    this.#player?.port.postMessage({ isCallerOnly: this.#side === "caller" });
  }

  #connect() {
    const socket = new WebSocket(this.#options.url, this.#options.protocols);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code }) => (code === OVER ? this.#end("") : this.#lost());
    this.#await();
  }

  /** @param {any} data */
  #receive(data) {
    this.#await();
    if (data instanceof ArrayBuffer) this.#player?.port.postMessage(data);
    const message = /** @type {any} */ (parseMessage(data));
    if (message?.type !== "audio") return;
    this.#player?.port.postMessage({ rateHz: message.rate_hz });
    this.#isOn = true;
    this.#options.onState("on", "");
  }

  /** A connection that was there is tried once more; one that never was has been refused. */
  #lost() {
    if (!this.#isOn) return this.#end("the service has refused it, or cannot be reached.");
    this.#leave();
    this.#options.onState("connecting", "");
    this.#timer = setTimeout(() => this.#connect(), AGAIN_AFTER_MS);
  }

  #await() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#lost(), DEAD_AFTER_MS);
  }

  #leave() {
    clearTimeout(this.#timer);
    this.#isOn = false;
    if (this.#socket) this.#socket.onclose = this.#socket.onmessage = null;
    this.#socket?.close();
    this.#socket = null;
  }

  /** @param {string} why it has failed; "" if it has not */
  #end(why) {
    this.#leave();
    this.#sound?.close();
    this.#sound = this.#player = null;
    this.#options.onState(why ? "failed" : "off", why && `The sound of this call cannot be heard: ${why}`);
  }
}
