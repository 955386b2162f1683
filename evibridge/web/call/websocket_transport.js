import { EvibridgeError } from "./call_error.js";
import { parseMessage } from "./messages.js";

/** @typedef {import("./transport.js").TransportListener} TransportListener */
/** @typedef {import("./microphone.js").Microphone} Microphone */
/** @typedef {import("./stream_sound.js").StreamSound} StreamSound */

/** Frames that the network does not take are dropped beyond this: one second at 16 kHz. */
const MAX_UNSENT_BYTES = 32_000;
/** The service hands the call to another connection of the caller. */
const TAKEN_OVER = 4002;
const NEVER_OPEN = 1006;

/** A call by WebSocket: JSON in text frames, int16 mono PCM in binary ones. */
export class WebSocketTransport {
  /** @type {"websocket"} */
  kind = "websocket";
  asking = Promise.resolve();
  #server;
  #sound;
  #microphone;
  #listener;
  /** @type {WebSocket | null} */
  #socket = null;
  #isOpen = false;
  #isClosed = false;
  #hasMicrophone = false;

  /**
   * @param {URL} server
   * @param {StreamSound} sound
   * @param {Microphone} microphone
   * @param {TransportListener} listener
   */
  constructor(server, sound, microphone, listener) {
    this.#server = server;
    this.#sound = sound;
    this.#microphone = microphone;
    this.#listener = listener;
  }

  /** @param {import("./transport.js").Proof} proof */
  async open(proof) {
    const { stream } = this.#microphone;
    this.#hasMicrophone = stream !== null;
    await Promise.all([this.#sound.open(), this.#sound.hear(stream)]);
    if (this.#isClosed) return;
    const url = new URL("browser", this.#server);
    url.protocol = url.protocol.replace("http", "ws");
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#greet(proof);
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code }) => this.#lost(code);
    // Chromium closes no socket that the page's policy forbids: it never was open.
    socket.onerror = () => this.#isOpen || this.#lost(NEVER_OPEN);
  }

  /** @param {import("../evibridge.js").PageMessage} message */
  send(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  /** @param {MediaStream} stream */
  async replaceMicrophone(stream) {
    if (this.#hasMicrophone) await this.#sound.hear(stream);
    return this.#hasMicrophone;
  }

  close() {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#sound.listener = null;
    this.#sound.clear();
    if (!this.#socket) return;
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = this.#socket.onerror = null;
    this.#socket.close();
  }

  /** @param {import("./transport.js").Proof} proof */
  #greet(proof) {
    this.#isOpen = true;
    this.send({
      type: "hello",
      ...proof,
      capture_rate_hz: this.#sound.captureRateHz,
      playback_rate_hz: this.#sound.playbackRateHz,
      microphone: this.#hasMicrophone,
    });
    this.#sound.listener = {
      onFrame: (pcm) => this.#sendAudio(pcm),
      onMark: (name) => this.send({ type: "mark", name }),
      onTick: () => this.#listener.onTick(),
    };
  }

  /** @param {ArrayBuffer} pcm */
  #sendAudio(pcm) {
    const socket = this.#socket;
    if (socket?.readyState === WebSocket.OPEN && socket.bufferedAmount < MAX_UNSENT_BYTES) socket.send(pcm);
  }

  /** @param {string | ArrayBuffer} data */
  #receive(data) {
    if (data instanceof ArrayBuffer) {
      this.#listener.onSound();
      this.#sound.play(data);
      return;
    }
    const message = parseMessage(data);
    if (message?.type === "mark") this.#sound.mark(message.name);
    else if (message?.type === "clear") this.#sound.clear();
    else if (message) this.#listener.onMessage(message);
  }

  /** @param {number} code */
  #lost(code) {
    const { origin } = this.#server;
    if (code === TAKEN_OVER) {
      this.#listener.onLost(new EvibridgeError("taken_over", "The call goes on by another connection."));
    } else if (this.#isOpen) {
      this.#listener.onLost(new EvibridgeError("connection_lost", "The connection was lost."));
    } else {
      this.#listener.onLost(new EvibridgeError("unreachable", `The service at ${origin} cannot be reached.`));
    }
  }
}
