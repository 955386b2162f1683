/** @typedef {import("../evibridge.js").ErrorCode} ErrorCode */

/** Why something did not work: `code` for programs, `message` for people. */
export class EvibridgeError extends Error {
  /**
   * @param {ErrorCode} code
   * @param {string} message
   * @param {number} [retryAfterS] when it may be worth another try
   */
  constructor(code, message, retryAfterS) {
    super(message);
    this.name = "EvibridgeError";
    this.code = code;
    this.retryAfterS = retryAfterS;
  }
}

/** What is no fault of the way: the service has answered, or the call is over. */
const SAME_BY_ALL_WAYS = /^(service_full|draining|too_many_connections|insecure_page)$/;
/** What speaks against a way, and not against the moment. */
const FAULT_OF_THE_WAY = /^(blocked|webrtc_.*)$/;
/** What a call does not come back from; all else may pass. */
const FINAL = /^(token_.*|origin_not_allowed|call_is_over|taken_over|caller_hung_up)$/;

/**
 * Whether another transport may bring what this one did not.
 *
 * @param {EvibridgeError} error
 */
export const otherWayMayHelp = (error) => otherTryMayHelp(error) && !SAME_BY_ALL_WAYS.test(error.code);

/**
 * Whether this transport is not worth another try: the service may be away for a moment.
 *
 * @param {EvibridgeError} error
 */
export const isFaultOfTheWay = (error) => FAULT_OF_THE_WAY.test(error.code);

/**
 * Whether another try may bring back a call that was lost.
 *
 * @param {EvibridgeError} error
 */
export const otherTryMayHelp = (error) => !FINAL.test(error.code);

/**
 * The error itself, or one of ours in the place of a browser's.
 *
 * @param {unknown} error
 * @param {ErrorCode} code
 * @param {string} sentence
 */
export function asCallError(error, code, sentence) {
  if (error instanceof EvibridgeError) return error;
  return new EvibridgeError(code, `${sentence} (${error instanceof Error ? error.message : error})`);
}
