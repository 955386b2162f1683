import { EvibridgeError } from "./call_error.js";

/** A service that takes longer to answer is not there. */
const ANSWERS_WITHIN_MS = 10_000;

/**
 * Ask the service something.
 *
 * @param {URL} url
 * @param {object} body
 * @param {AbortSignal} [signal] breaks it off
 * @returns {Promise<any>} what it answers
 */
export async function post(url, body, signal) {
  signal?.throwIfAborted();
  const own = new AbortController();
  const abort = () => own.abort(signal?.reason);
  const late = new EvibridgeError("unreachable", `The service at ${url.origin} does not answer.`);
  const timer = setTimeout(() => own.abort(late), ANSWERS_WITHIN_MS);
  signal?.addEventListener("abort", abort);
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
      credentials: "omit",
      cache: "no-store",
      signal: own.signal,
    });
    const answer = await response.json().catch(() => null);
    if (!response.ok || !answer) throw refusal(url, response, answer);
    return answer;
  } catch (error) {
    if (own.signal.aborted) throw own.signal.reason;
    if (error instanceof EvibridgeError) throw error;
    throw new EvibridgeError("unreachable", `The service at ${url.origin} cannot be reached.`);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}

/**
 * @param {URL} url
 * @param {Response} response
 * @param {any} answer
 */
function refusal(url, response, answer) {
  if (typeof answer?.code !== "string") {
    const { status } = response;
    // Nobody is there for it, but the rest of the service may be.
    if (status === 404 || status === 501) {
      return new EvibridgeError("webrtc_unavailable", `${url.href} is not there (HTTP ${status}): is evibridge behind it?`);
    }
    return new EvibridgeError("unreachable", `${url.origin} answers with HTTP ${status}: is evibridge behind it?`);
  }
  // Other origins see the header only if the service lets them.
  const retryAfterS = Number(answer.retry_after_s ?? response.headers.get("Retry-After")) || undefined;
  return new EvibridgeError(answer.code, String(answer.message), retryAfterS);
}

/**
 * End a call without its connection; the request outlives the page.
 *
 * @param {URL} url
 * @param {string} key
 */
export function hangUp(url, key) {
  const headers = { Authorization: `Bearer ${key}` };
  // It cannot be waited for: the service also gives up a caller who is gone.
  fetch(url, { method: "DELETE", headers, credentials: "omit", keepalive: true }).catch(() => {});
}
