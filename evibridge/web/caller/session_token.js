/** What lets a caller in without a link: a token that this computer's service gives. */

const TIMEOUT_MS = 8000;

/** Why there is no token; its message is a sentence for the caller. */
export class NoToken extends Error {
  /** @param {string} code @param {string} message @param {number} [retryAfterS] */
  constructor(code, message, retryAfterS) {
    super(message);
    this.code = code;
    this.retryAfterS = retryAfterS;
  }
}

/**
 * Ask the service for a token; it gives one to its own computer only.
 * @returns {Promise<string>}
 */
export async function newToken() {
  const answer = await asked();
  const body = await answer.json().catch(() => ({}));
  if (answer.ok && typeof body.token === "string") return body.token;
  if (answer.status === 403 || answer.status === 404) {
    throw new NoToken("link_needed", "The service gives no token to other computers.");
  }
  const sentence = typeof body.message === "string" ? body.message : "";
  const retryAfterS = Number(answer.headers.get("Retry-After")) || undefined;
  const code = typeof body.code === "string" ? body.code : "unreachable";
  throw new NoToken(code, sentence || `The service answered ${answer.status}.`, retryAfterS);
}

async function asked() {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), TIMEOUT_MS);
  try {
    return await fetch("browser/session", { method: "POST", signal: late.signal });
  } catch {
    throw new NoToken("unreachable", "The service does not answer.");
  } finally {
    clearTimeout(timer);
  }
}
