import { EvibridgeError, asCallError, isFaultOfTheWay, otherTryMayHelp, otherWayMayHelp } from "./call_error.js";
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
const BEAT_EACH_MS = 500;
/** Another connection that the call itself has asked for is made so fast, as a rule. */
const SWITCHES_WITHIN_MS = 2000;
/** More is not said while it is made. */
const MAX_HELD = 20;
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
  #token = "";
  #newTransport;
  #listener;
  #network;
  #nowS;
  #schedule = new ReconnectSchedule();
  #heartbeat;
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
  /** @type {PageMessage[] | null} what is sent once the call goes by its new connection */
  #held = null;

  /**
   * @param {object} parts
   * @param {URL} parts.server
   * @param {("webrtc" | "websocket")[]} parts.ways in the order in which they are tried
   * @param {(way: "webrtc" | "websocket", listener: TransportListener) => Transport} parts.newTransport
   * @param {ConnectionListener} parts.listener
   * @param {EventTarget} parts.network tells of "online": the window
   * @param {() => number} parts.nowS
   */
  constructor({ server, ways, newTransport, listener, network, nowS }) {
    this.#server = server;
    this.#ways = ways;
    this.#newTransport = newTransport;
    this.#listener = listener;
    this.#network = network;
    this.#nowS = nowS;
    this.#heartbeat = new Heartbeat(nowS());
  }

  /** The way that is in use. */
  get way() {
    return this.#joining ? null : (this.#transport?.kind ?? null);
  }

  /** Name of the call; null before the service has a place for it. */
  get callId() {
    return this.#place?.callId ?? null;
  }

  /**
   * Connect, by the next way if one fails. Rejects with `EvibridgeError`.
   *
   * @param {string} token
   */
  async connect(token) {
    this.#token = token;
    await this.#connect(otherWayMayHelp);
  }

  /** @param {(error: EvibridgeError) => boolean} leaves whether a way that has failed is given up for good */
  async #connect(leaves) {
    for (;;) {
      try {
        await this.#join(this.#ways[0]);
        break;
      } catch (error) {
        const failure = asCallError(error, "blocked", "The browser does not make a connection.");
        if (this.#ways.length === 1 || !leaves(failure)) throw failure;
        this.#closing.signal.throwIfAborted();
        this.#ways = this.#ways.slice(1);
      }
    }
    this.#schedule.connected(this.#nowS());
    this.#heartbeat = new Heartbeat(this.#nowS());
    this.#timer = setInterval(() => this.#beat(), BEAT_EACH_MS);
  }

  /** @param {PageMessage} message */
  send(message) {
    if (!this.#held) this.#transport?.send(message);
    else if (this.#held.length < MAX_HELD) this.#held.push(message);
  }

  /**
   * Go on with another microphone. A call by typing gets another connection for it, of which nobody
   * is told unless it takes long; rejects if the call is lost thereby.
   *
   * @param {MediaStream} stream
   */
  async replaceMicrophone(stream) {
    const transport = this.#transport;
    // While there is no connection: the next one takes it.
    if (!transport || (await transport.replaceMicrophone(stream))) return;
    if (transport !== this.#transport || this.#joining) return;
    this.#drop();
    this.#held = [];
    const timer = setTimeout(() => this.#listener.onReconnecting(), SWITCHES_WITHIN_MS);
    await this.#comeBack(0).finally(() => clearTimeout(timer));
    this.#closing.signal.throwIfAborted();
  }

  /** Hang up where nothing can be waited for. */
  abandon() {
    this.#transport?.send({ type: "end" });
    if (this.#place) this.#giveBack(this.#place);
  }

  /** @param {number} soundsOnForMs how long what has arrived is still heard */
  close(soundsOnForMs = 0) {
    this.#closing.abort(new EvibridgeError("caller_hung_up", "The call was ended before it was connected."));
    const transport = this.#transport;
    if (transport && soundsOnForMs > 0) {
      this.#transport = null;
      setTimeout(() => transport.close(), soundsOnForMs);
    }
    this.#drop();
  }

  /** @param {"webrtc" | "websocket"} way */
  async #join(way) {
    this.#closing.signal.throwIfAborted();
    let isAnswered = way === "websocket";
    /** @type {Transport} */
    const transport = this.#newTransport(way, {
      onPlace: (place) => {
        isAnswered = true;
        this.#keepPlace(place);
      },
      onMessage: (message) => this.#receive(transport, message),
      onSound: () => this.#heartbeat.received(this.#nowS()),
      onTick: () => this.#beat(),
      onLost: (error) => this.#lost(transport, error),
    });
    this.#transport = transport;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const welcome = new Promise((resolve, reject) => {
      this.#joining = { welcome: () => resolve(undefined), fail: reject };
      transport.open(this.#proof()).catch(reject);
      const late = () => reject(isAnswered ? blocked(way) : unanswered(this.#server));
      const limitMs = this.#ways.length > 1 ? TRIED_FOR_MS : CONNECTS_WITHIN_MS;
      timer = setTimeout(() => void transport.asking.then(late), limitMs);
    });
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
    // Who has hung up while the service was answering has no use for it.
    if (this.#closing.signal.aborted) this.#giveBack(place);
    else this.#place = place;
  }

  /** @param {Place} place */
  #giveBack({ callId, key }) {
    hangUp(new URL(`webrtc/offer/${encodeURIComponent(callId)}`, this.#server), key);
  }

  /**
   * @param {Transport} transport
   * @param {ServiceMessage} message
   */
  #receive(transport, message) {
    if (transport !== this.#transport) return;
    this.#heartbeat.received(this.#nowS());
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
    if (!otherTryMayHelp(error)) {
      this.#listener.onGone(error);
      return;
    }
    this.#listener.onReconnecting();
    void this.#comeBack();
  }

  /** @param {number} [delayS] before the first try, where the connection was not lost by chance */
  async #comeBack(delayS) {
    const nowS = this.#nowS();
    this.#schedule.lost(nowS, this.#place?.resumeS ?? 0);
    try {
      await this.#tryAgain(delayS ?? this.#schedule.next(nowS));
      this.#sendHeld();
      this.#listener.onReconnected();
    } catch (error) {
      if (this.#closing.signal.aborted) return;
      this.#listener.onGone(asCallError(error, "connection_lost", "The connection was lost."));
    }
  }

  /** @param {number | null} delayS */
  async #tryAgain(delayS) {
    for (;;) {
      if (delayS === null) throw new EvibridgeError("connection_lost", "The connection was lost for too long.");
      const wait = waitOrEvent(delayS, this.#network, "online");
      await unlessAborted(wait, this.#closing.signal).finally(wait.cancel);
      try {
        await this.#connect(isFaultOfTheWay);
        return;
      } catch (error) {
        if (!(error instanceof EvibridgeError) || !otherTryMayHelp(error)) throw error;
        delayS = this.#schedule.next(this.#nowS(), error.retryAfterS);
      }
    }
  }

  #sendHeld() {
    const held = this.#held ?? [];
    this.#held = null;
    for (const message of held) this.send(message);
  }

  #drop() {
    clearInterval(this.#timer);
    this.#joining = null;
    const transport = this.#transport;
    this.#transport = null;
    transport?.close();
  }
}

/** @param {"webrtc" | "websocket"} way */
const blocked = (way) => new EvibridgeError("blocked", `The network lets no call by ${NAMES[way]} through.`);

/** @param {URL} server */
const unanswered = ({ origin }) => new EvibridgeError("unreachable", `The service at ${origin} does not answer.`);
