/** What lets the caller in: the token of the link, or one that this computer's service gives. */

const TIMEOUT_MS = 8000;
export const LINK_NEEDED = "This page needs a link from whoever runs it.";

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
 * The token in an address, and the address without it.
 * @param {string} address
 * @returns {{token: string, rest: string}}
 */
export function tokenIn(address) {
  const url = new URL(address);
  const members = new URLSearchParams(url.hash.slice(1));
  const token = members.get("token") ?? "";
  members.delete("token");
  url.hash = members.toString();
  return { token, rest: url.href };
}

/**
 * Ask the service for a token; it gives one to its own computer only.
 * @returns {Promise<string>}
 */
export async function newToken() {
  const answer = await asked();
  const body = await answer.json().catch(() => ({}));
  if (answer.ok && typeof body.token === "string") return body.token;
  const sentence = typeof body.message === "string" ? body.message : "";
  if (answer.status === 403 || answer.status === 404) {
    throw new NoToken("link_needed", `${LINK_NEEDED} ${sentence}`.trim());
  }
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
