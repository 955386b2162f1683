import { EvibridgeError, asCallError, otherTryMayHelp, otherWayMayHelp } from "./call_error.js";
import { Heartbeat } from "./heartbeat.js";
import { ReconnectSchedule } from "./reconnect.js";
import { hangUp } from "./requests.js";
import { unlessAborted, waitOrEvent } from "./waiting.js";

/** @typedef {import("../evibridge.js").ServiceMessage} ServiceMessage */
/** @typedef {import("../evibridge.js").PageMessage} PageMessage */
/** @typedef {import("./transport.js").Transport} Transport */
/** @typedef {import("./transport.js").TransportListener} TransportListener */
/** @typedef {import("./transport.js").Place} Place */

/** A way that takes longer is given up while there is another one. */
const TRIED_FOR_MS = 6000;
/** The service gives up a connection that is not there by then. */
const CONNECTS_WITHIN_MS = 15_000;
const BEAT_EACH_MS = 1000;
const NAMES = { webrtc: "WebRTC", websocket: "WebSocket" };

/**
 * What a connection tells.
 *
 * @typedef {object} ConnectionListener
 * @property {(message: ServiceMessage) => void} onMessage
 * @property {() => void} onReconnecting the connection was lost
 * @property {() => void} onReconnected
 * @property {(error: EvibridgeError) => void} onGone the call cannot be reached any more
 */

/** A call's connection: made by the first way that works, and made again when it is lost. */
export class Connection {
  #server;
  #ways;
  #token;
  #newTransport;
  #listener;
  #network;
  #nowS;
  #schedule = new ReconnectSchedule();
  #heartbeat = new Heartbeat();
  #closing = new AbortController();
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #timer;
  /** @type {Transport | null} */
  #transport = null;
  /** @type {Place | null} */
  #place = null;
  /** @type {number | undefined} */
  #since;
  /** @type {{welcome: () => void, fail: (error: EvibridgeError) => void} | null} */
  #joining = null;

  /**
   * @param {object} parts
   * @param {URL} parts.server
   * @param {("webrtc" | "websocket")[]} parts.ways in the order in which they are tried
   * @param {string} parts.token
   * @param {(way: "webrtc" | "websocket", listener: TransportListener) => Transport} parts.newTransport
   * @param {ConnectionListener} parts.listener
   * @param {EventTarget} parts.network tells of "online": the window
   * @param {() => number} parts.nowS
   */
  constructor({ server, ways, token, newTransport, listener, network, nowS }) {
    this.#server = server;
    this.#ways = ways;
    this.#token = token;
    this.#newTransport = newTransport;
    this.#listener = listener;
    this.#network = network;
    this.#nowS = nowS;
  }

  /** The way that is in use. */
  get way() {
    return this.#joining ? null : (this.#transport?.kind ?? null);
  }

  /** Name of the call; null before the service has a place for it. */
  get callId() {
    return this.#place?.callId ?? null;
  }

  /** Connect, by the next way if one fails. Rejects with `EvibridgeError`. */
  async connect() {
    for (;;) {
      try {
        await this.#join(this.#ways[0]);
        break;
      } catch (error) {
        const failure = asCallError(error, "blocked", "The browser does not make a connection.");
        if (this.#ways.length === 1 || !otherWayMayHelp(failure)) throw failure;
        this.#closing.signal.throwIfAborted();
        this.#ways = this.#ways.slice(1);
      }
    }
    this.#schedule.connected(this.#nowS());
    this.#heartbeat = new Heartbeat();
    this.#timer = setInterval(() => this.#beat(), BEAT_EACH_MS);
  }

  /** @param {PageMessage} message */
  send(message) {
    this.#transport?.send(message);
  }

  /**
   * Go on with another microphone.
   *
   * @param {MediaStream} stream
   */
  async replaceMicrophone(stream) {
    const transport = this.#transport;
    // While there is no connection: the next one takes it.
    if (!transport || (await transport.replaceMicrophone(stream)) || this.#joining) return;
    this.#lost(transport, new EvibridgeError("connection_lost", "A call by typing becomes one by voice."));
  }

  /** Hang up where nothing can be waited for. */
  abandon() {
    this.send({ type: "end" });
    if (!this.#place) return;
    const { callId, key } = this.#place;
    hangUp(new URL(`webrtc/offer/${encodeURIComponent(callId)}`, this.#server), key);
  }

  close() {
    this.#closing.abort(new EvibridgeError("caller_hung_up", "The call was ended before it was connected."));
    this.#drop();
  }

  /** @param {"webrtc" | "websocket"} way */
  async #join(way) {
    this.#closing.signal.throwIfAborted();
    /** @type {Transport} */
    const transport = this.#newTransport(way, {
      onPlace: (place) => this.#keepPlace(place),
      onMessage: (message) => this.#receive(transport, message),
      onTick: () => this.#beat(),
      onLost: (error) => this.#lost(transport, error),
    });
    this.#transport = transport;
    const welcome = new Promise((resolve, reject) => {
      this.#joining = { welcome: () => resolve(undefined), fail: reject };
      transport.open(this.#proof()).catch(reject);
    });
    const late = new EvibridgeError("blocked", `The network lets no call by ${NAMES[way]} through.`);
    const limitMs = this.#ways.length > 1 ? TRIED_FOR_MS : CONNECTS_WITHIN_MS;
    const timer = setTimeout(() => this.#joining?.fail(late), limitMs);
    try {
      await unlessAborted(welcome, this.#closing.signal);
      this.#joining = null;
    } catch (error) {
      this.#drop();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #proof() {
    if (!this.#place) return { token: this.#token };
    return { key: this.#place.key, since: this.#since };
  }

  /** @param {Place} place */
  #keepPlace(place) {
    this.#place = place;
  }

  /**
   * @param {Transport} transport
   * @param {ServiceMessage} message
   */
  #receive(transport, message) {
    if (transport !== this.#transport) return;
    this.#heartbeat.received();
    if (message.type === "pong") return;
    if ("seq" in message && message.seq !== undefined) this.#since = message.seq;
    if (message.type === "welcome") {
      this.#keepPlace({ callId: message.call_id, key: message.key, resumeS: message.resume_s });
      this.#joining?.welcome();
    } else if (message.type === "refused" && this.#joining) {
      this.#joining.fail(new EvibridgeError(message.code, message.message, message.retry_after_s));
      return;
    }
    this.#listener.onMessage(message);
  }

  #beat() {
    const transport = this.#transport;
    if (!transport || this.#joining) return;
    const what = this.#heartbeat.beat(this.#nowS());
    if (what === "ping") transport.send({ type: "ping" });
    if (what === "dead") this.#lost(transport, new EvibridgeError("connection_lost", "The connection was lost."));
  }

  /**
   * @param {Transport} transport
   * @param {EvibridgeError} error
   */
  #lost(transport, error) {
    if (transport !== this.#transport) return;
    if (this.#joining) {
      this.#joining.fail(error);
      return;
    }
    this.#drop();
    if (otherTryMayHelp(error)) void this.#reconnect();
    else this.#listener.onGone(error);
  }

  async #reconnect() {
    this.#schedule.lost(this.#nowS(), this.#place?.resumeS ?? 0);
    this.#listener.onReconnecting();
    try {
      await this.#tryAgain();
      this.#listener.onReconnected();
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      this.#listener.onGone(asCallError(error, "connection_lost", "The connection was lost."));
    }
  }

  async #tryAgain() {
    for (;;) {
      const delayS = this.#schedule.next(this.#nowS());
      if (delayS === null) throw new EvibridgeError("connection_lost", "The connection was lost for too long.");
      const wait = waitOrEvent(delayS, this.#network, "online");
      await unlessAborted(wait, this.#closing.signal).finally(wait.cancel);
      try {
        await this.connect();
        return;
      } catch (error) {
        if (!(error instanceof EvibridgeError) || !otherTryMayHelp(error)) throw error;
      }
    }
  }

  #drop() {
    clearInterval(this.#timer);
    this.#joining = null;
    const transport = this.#transport;
    this.#transport = null;
    transport?.close();
  }
}
