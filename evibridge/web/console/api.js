/** The operator API by HTTP. What goes wrong is told in sentences for people. */

/** @typedef {import("./types").CallRecord} CallRecord */
/** @typedef {import("./types").Moment} Moment */
/** @typedef {import("./types").Service} Service */
/** @typedef {import("./types").Snapshot} Snapshot */
/** @typedef {import("./types").Summary} Summary */
/** @typedef {{call_id: string, command: string, by: string, via: string | null}} CommandDone */
/** @typedef {Record<string, string | number | boolean | null | undefined>} Params */
/**
 * Takes bytes; null if not known. What returns false wants no more.
 *
 * @typedef {(received: number, total: number | null) => boolean | void} OnProgress
 */
/** @typedef {(answer: Response, goesOn: () => void) => Promise<any>} Reader */

export const TIMEOUT_MS = 10_000;
export const AGAIN_MS = 500;
export const MAX_RECORDING_BYTES = 400_000_000;
const MAX_FAULTS = 3;
const UNREACHABLE = "unreachable";
const TRY_AGAIN = "Check the network, then try again.";
const UNDONE = "Nothing was done; press again.";
const UNKNOWN = "It is not known whether it was done.";

/** Why something was not done; the message is a sentence for people. */
export class ApiError extends Error {
  /**
   * @param {number} status 0 if there was no answer
   * @param {string} code of docs/operators.md, or `unreachable`, `timeout`, `invalid`, `too_large`; ""
   *   for an answer that is not of the service
   * @param {string} message
   * @param {number | null} [retryAfterS]
   */
  constructor(status, code, message, retryAfterS = null) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.retryAfterS = retryAfterS;
  }
}

export class Api {
  #token;
  #onRefused;
  #fetch;
  #isOffline;
  #crypto;

  /**
   * @param {string | null} token
   * @param {(error: ApiError) => void} onRefused is told when the service wants a token, or another one
   * @param {{fetch?: (path: string, init: RequestInit) => Promise<Response>, isOffline?: () => boolean,
   *   crypto?: Pick<Crypto, "getRandomValues"> & {randomUUID?: () => string}}} [browser]
   */
  constructor(token, onRefused, browser = {}) {
    this.#token = token;
    this.#onRefused = onRefused;
    this.#fetch = browser.fetch ?? ((path, init) => fetch(path, init));
    this.#isOffline = browser.isOffline ?? (() => globalThis.navigator?.onLine === false);
    this.#crypto = browser.crypto ?? globalThis.crypto;
  }

  /** @param {Moment} [since] calls since then are counted @returns {Promise<Service>} */
  service(since) {
    return this.#read(`service${query({ since })}`);
  }

  /**
   * @param {Params} params as `GET /v1/calls` has them
   * @returns {Promise<{calls: Summary[], next: string | null}>}
   */
  calls(params) {
    return this.#read(`calls${query(params)}`);
  }

  /** @param {string} id @returns {Promise<Snapshot>} */
  call(id) {
    return this.#read(pathOf(id));
  }

  /** @param {string} id @returns {Promise<CallRecord>} */
  record(id) {
    return this.#read(`${pathOf(id)}/record`);
  }

  /**
   * @param {string} id
   * @param {OnProgress} [onProgress]
   * @returns {Promise<Blob>}
   */
  recording(id, onProgress = () => {}) {
    return this.#read(`${pathOf(id)}/recording`, (answer, goesOn) => soundOf(answer, goesOn, onProgress));
  }

  /**
   * Ask once, even if the question has to be sent again because the connection was lost.
   *
   * @param {string} callId
   * @param {string} path below the call's; ids in it are encoded already
   * @param {object} [body]
   * @returns {Promise<CommandDone>}
   */
  command(callId, path, body) {
    return this.#act(`${pathOf(callId)}/${path}`, body);
  }

  /** @param {string} callId @param {object} offer @returns {Promise<RTCSessionDescriptionInit>} */
  voice(callId, offer) {
    return this.#act(`${pathOf(callId)}/voice`, offer);
  }

  /** @param {string} path @param {Reader} [reader] */
  async #read(path, reader) {
    try {
      return await this.#send(path, {}, reader);
    } catch (error) {
      throw advised(error, TRY_AGAIN);
    }
  }

  /** @param {string} path @param {object} [body] */
  async #act(path, body) {
    /** @type {Record<string, string>} */
    const headers = { "Idempotency-Key": newKey(this.#crypto) };
    if (body) headers["Content-Type"] = "application/json";
    const init = { method: "POST", headers, body: body && JSON.stringify(body) };
    // Without a network nothing leaves the computer.
    let isUnsent = this.#isOffline();
    try {
      return await this.#send(path, init);
    } catch (error) {
      if (!(error instanceof ApiError) || error.code !== UNREACHABLE) throw advised(error, UNKNOWN);
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    isUnsent &&= this.#isOffline();
    try {
      return await this.#send(path, init);
    } catch (error) {
      throw advised(error, isUnsent ? UNDONE : UNKNOWN);
    }
  }

  /**
   * @param {string} path
   * @param {RequestInit} init
   * @param {Reader} [reader]
   */
  async #send(path, init, reader = (answer) => answer.json()) {
    const late = new AbortController();
    const { signal } = late;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const goesOn = () => {
      clearTimeout(timer);
      timer = setTimeout(() => late.abort(), TIMEOUT_MS);
    };
    goesOn();
    try {
      const headers = { ...init.headers, ...this.#authorization() };
      const answer = await this.#fetch(`v1/${path}`, { ...init, headers, cache: "no-store", signal });
      if (!answer.ok) throw await refusalOf(answer);
      return await reader(answer, goesOn);
    } catch (error) {
      const told = failureOf(error, signal.aborted);
      if (told.status === 401 || (told.status === 403 && this.#token === null)) this.#onRefused(told);
      throw told;
    } finally {
      clearTimeout(timer);
    }
  }

  /** @returns {Record<string, string>} */
  #authorization() {
    if (this.#token === null) return {};
    // A header bears nothing else, and would not even be sent.
    if (/^[\x21-\x7e]+$/.test(this.#token)) return { Authorization: `Bearer ${this.#token}` };
    throw new ApiError(401, "unauthorized", "This is no token: it has characters that no token has.");
  }
}

/** @param {string} id */
const pathOf = (id) => `calls/${encodeURIComponent(id)}`;

/** @param {Params} params */
function query(params) {
  const wanted = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    if (value !== null && value !== undefined && value !== "") wanted.set(name, String(value));
  }
  const text = String(wanted);
  return text && `?${text}`;
}

/**
 * Under plain http browsers have no `randomUUID`.
 *
 * @param {Pick<Crypto, "getRandomValues"> & {randomUUID?: () => string}} source
 */
function newKey(source) {
  return source.randomUUID?.() ?? source.getRandomValues(new Uint32Array(4)).join("-");
}

/** @param {unknown} error @param {boolean} isLate */
function failureOf(error, isLate) {
  if (error instanceof ApiError) return error;
  if (isLate) return new ApiError(0, "timeout", `The server has not answered for ${TIMEOUT_MS / 1000} s.`);
  if (error instanceof SyntaxError) return new ApiError(0, "", "The answer is not of an evibridge server.");
  return new ApiError(0, UNREACHABLE, "The server cannot be reached.");
}

/** @param {unknown} error @param {string} advice for what the service itself says nothing about */
function advised(error, advice) {
  if (error instanceof ApiError && (error.status === 0 || !error.code)) error.message += ` ${advice}`;
  return error;
}

/** @param {Response} answer */
async function refusalOf(answer) {
  const { status } = answer;
  const seconds = Number.parseInt(answer.headers.get("Retry-After") ?? "", 10);
  const retryAfterS = seconds >= 0 ? seconds : null;
  const { code, message, detail } = Object(await answer.json().catch(() => null));
  if (status === 429) {
    const when = retryAfterS === null ? "wait a moment" : `again in ${Math.max(1, retryAfterS)} s`;
    return new ApiError(status, code ?? "too_many_commands", `Too many commands: ${when}.`, retryAfterS);
  }
  if (detail) return new ApiError(status, "invalid", sentenceOf(detail));
  const isOurs = typeof code === "string" && typeof message === "string";
  const sentence = isOurs ? message : `The server has answered with ${status}.`;
  return new ApiError(status, isOurs ? code : "", sentence, retryAfterS);
}

/** @param {unknown} detail what is wrong with each member, or a sentence */
function sentenceOf(detail) {
  if (!Array.isArray(detail)) return `Refused: ${detail}`;
  const faults = detail.slice(0, MAX_FAULTS).map(({ loc, msg }) => [...(loc ?? []).slice(1), msg].join(": "));
  return `Refused because of ${faults.join("; ")}.`;
}

/**
 * @param {Response} answer
 * @param {() => void} goesOn
 * @param {OnProgress} onProgress
 */
async function soundOf(answer, goesOn, onProgress) {
  const total = Number(answer.headers.get("Content-Length")) || null;
  const reader = /** @type {ReadableStream<Uint8Array>} */ (answer.body).getReader();
  /** @type {BlobPart[]} */
  const pieces = [];
  let received = 0;
  while (Math.max(received, total ?? 0) <= MAX_RECORDING_BYTES) {
    const { done, value } = await reader.read();
    if (!value || done) return new Blob(pieces, { type: answer.headers.get("Content-Type") ?? "audio/wav" });
    goesOn();
    pieces.push(value);
    received += value.byteLength;
    if (onProgress(received, total) === false) break;
  }
  reader.cancel().catch(() => {});
  const most = `${MAX_RECORDING_BYTES / 1e6} MB`;
  throw new ApiError(413, "too_large", `The recording is larger than ${most}: save it with another program.`);
}
