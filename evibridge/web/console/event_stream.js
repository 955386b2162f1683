/** A stream of events that comes back by itself, and goes on where it was cut off. */

/** @typedef {import("./types").Told} Told */
/** @typedef {"open"|"lost"|"over"|"refused"} StreamState */
/** @typedef {"retry"|"over"|"refused"} Verdict */
/**
 * @typedef {object} Stream
 * @property {string} path relative to the page, as `v1/events`
 * @property {Record<string, string | number | boolean>} [params] `since` among them counts until a message
 *   has a number
 * @property {string | null} token
 * @property {boolean} [isEndless] whoever closes it, whatever the code, it begins anew
 * @property {(told: Told) => void} onTold
 * @property {(state: StreamState, retryInMs: number | null) => void} onState
 * @property {() => Promise<Verdict>} [check] is asked whether to go on after the service took no connection:
 *   browsers do not tell a page why
 */
/**
 * @typedef {object} Browser
 * @property {new (url: URL, protocols: string[]) => WebSocket} [WebSocket]
 * @property {EventTarget} [window]
 * @property {EventTarget & {hidden: boolean}} [document]
 * @property {string} [base] address of the page
 * @property {() => number} [random]
 * @property {() => number} [now] ms
 */

export const LONGEST_WAIT_MS = 8000;
export const CONNECTS_MS = 10_000;
/** A link that is silent for so long may be dead; a new one costs little. */
export const SILENCE_MS = 45_000;
/** The same, where there is a reason to doubt it. */
export const DOUBT_MS = 5000;
const NORMAL = 1000;

export class EventStream {
  #stream;
  #browser;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {number | undefined} */
  #seq;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  /** @type {StreamState | ""} */
  #state = "";
  #isClosed = false;
  #isOpen = false;
  /** Connections so far, to tell late news of earlier ones. */
  #count = 0;
  #tries = 0;
  #openedAt = 0;
  #heardAt = 0;

  /**
   * @param {Stream} stream
   * @param {Browser} [browser]
   */
  constructor(stream, browser = {}) {
    this.#stream = stream;
    this.#browser = {
      WebSocket: globalThis.WebSocket,
      window: globalThis.window,
      document: globalThis.document,
      base: globalThis.document?.baseURI,
      random: Math.random,
      now: () => performance.now(),
      ...browser,
    };
    this.#browser.window.addEventListener("online", this.#connect);
    this.#browser.document.addEventListener("visibilitychange", this.#seen);
    this.#connect();
  }

  /** End it; nothing more is told. */
  close() {
    this.#isClosed = true;
    this.#count += 1;
    clearTimeout(this.#timer);
    this.#drop();
    this.#browser.window.removeEventListener("online", this.#connect);
    this.#browser.document.removeEventListener("visibilitychange", this.#seen);
  }

  /** Connect at once, if there is no connection that is known to live. */
  tryNow() {
    const isSilent = this.#isOpen && this.#browser.now() - this.#heardAt > DOUBT_MS;
    if (!this.#socket || isSilent) this.#connect();
  }

  #seen = () => {
    if (!this.#browser.document.hidden) this.tryNow();
  };

  #connect = () => {
    if (this.#isClosed) return;
    this.#drop();
    this.#count += 1;
    clearTimeout(this.#timer);
    try {
      const socket = new this.#browser.WebSocket(this.#url(), protocolsOf(this.#stream.token));
      this.#socket = socket;
      socket.addEventListener("open", () => socket === this.#socket && this.#opened());
      socket.addEventListener("message", ({ data }) => socket === this.#socket && this.#take(data));
      socket.addEventListener("close", ({ code }) => socket === this.#socket && this.#lost(code));
    } catch {
      this.#ask();
      return;
    }
    this.#timer = setTimeout(() => this.#lost(), CONNECTS_MS);
  };

  #url() {
    const { path, params } = this.#stream;
    const url = new URL(path, this.#browser.base);
    url.protocol = url.protocol.replace("http", "ws");
    for (const [name, value] of Object.entries(params ?? {})) url.searchParams.set(name, String(value));
    if (this.#seq !== undefined) url.searchParams.set("since", String(this.#seq));
    return url;
  }

  #opened() {
    this.#isOpen = true;
    this.#openedAt = this.#heardAt = this.#browser.now();
    this.#listen();
    if (this.#state !== "open") this.#tell("open");
  }

  #listen() {
    clearTimeout(this.#timer);
    const left = this.#heardAt + SILENCE_MS - this.#browser.now();
    if (left <= 0) this.#connect();
    else this.#timer = setTimeout(() => this.#listen(), left);
  }

  /** @param {unknown} data */
  #take(data) {
    this.#heardAt = this.#browser.now();
    const told = parsed(data);
    if (typeof told?.type !== "string") return;
    if (Number.isSafeInteger(told.seq)) this.#seq = told.seq;
    this.#stream.onTold(told);
  }

  /** @param {number} [code] of the close; none of a connection that did not come about in time */
  #lost(code) {
    const wasOpen = this.#isOpen;
    this.#drop();
    clearTimeout(this.#timer);
    if (code === NORMAL && !this.#stream.isEndless) this.#end("over");
    else if (!wasOpen) this.#ask();
    else {
      if (this.#browser.now() - this.#openedAt >= LONGEST_WAIT_MS) this.#tries = 0;
      this.#wait();
    }
  }

  async #ask() {
    const count = this.#count;
    const { check = async () => /** @type {Verdict} */ ("retry") } = this.#stream;
    const verdict = await check().catch(() => /** @type {Verdict} */ ("retry"));
    if (count !== this.#count) return;
    if (verdict === "retry") this.#wait();
    else this.#end(verdict);
  }

  #wait() {
    const most = Math.min(LONGEST_WAIT_MS, 1000 * 2 ** Math.min(this.#tries, 9));
    const delay = Math.round((most * (1 + this.#browser.random())) / 2);
    this.#tries += 1;
    this.#timer = setTimeout(this.#connect, delay);
    this.#tell("lost", delay);
  }

  /** @param {"over"|"refused"} state */
  #end(state) {
    this.close();
    this.#tell(state);
  }

  /** @param {StreamState} state @param {number | null} [retryInMs] */
  #tell(state, retryInMs = null) {
    this.#state = state;
    this.#stream.onState(state, retryInMs);
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    this.#isOpen = false;
    socket?.close();
  }
}

/**
 * A page cannot set the header of a WebSocket: the token goes as a subprotocol.
 *
 * @param {string | null} token
 */
export function protocolsOf(token) {
  if (token === null) return ["evibridge"];
  const bytes = String.fromCharCode(...new TextEncoder().encode(token));
  const text = btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  return ["evibridge", `bearer.${text}`];
}

/** @param {unknown} data @returns {Told | null} */
function parsed(data) {
  try {
    return JSON.parse(String(data));
  } catch {
    return null;
  }
}
