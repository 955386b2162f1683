/** @typedef {import("../evibridge.js").ServiceMessage} ServiceMessage */

/**
 * One message of the service, or null if it is none.
 *
 * @param {unknown} text
 * @returns {ServiceMessage | null}
 */
export function parseMessage(text) {
  if (typeof text !== "string") return null;
  try {
    const message = JSON.parse(text);
    return typeof message?.type === "string" ? message : null;
  } catch {
    return null;
  }
}
