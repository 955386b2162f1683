/** @typedef {"webrtc" | "websocket"} Way */

/**
 * Where the service is, with a slash at the end.
 *
 * @param {string} server
 */
export function addressOf(server) {
  try {
    const url = new URL(server.endsWith("/") ? server : `${server}/`);
    if (/^https?:$/.test(url.protocol)) return url;
  } catch {
    // It is told below.
  }
  throw new TypeError(`server: "${server}" is no address of a service, which begins with https:// or http://.`);
}

/**
 * The ways to the service, in the order in which they are tried.
 *
 * @param {"auto" | Way} transport
 * @returns {Way[]}
 */
export function waysOf(transport) {
  if (transport === "webrtc" || transport === "websocket") return [transport];
  if (transport !== "auto") {
    throw new TypeError(`transport: "${transport}" is none: choose "auto", "webrtc" or "websocket".`);
  }
  return typeof RTCPeerConnection === "function" ? ["webrtc", "websocket"] : ["websocket"];
}

/**
 * How the token is got, once it is needed: what a page's own function throws is left as it is.
 *
 * @param {string | (() => Promise<string>)} token
 * @returns {() => Promise<string>}
 */
export function tokenSource(token) {
  const get = typeof token === "function" ? token : () => token;
  if (typeof token !== "function") checked(token);
  return async () => checked(await get());
}

/** @param {unknown} token */
function checked(token) {
  if (typeof token === "string" && token) return token;
  throw new TypeError("token: it has to be the token of a web session, or a function that gets one.");
}
