/** What is open, as the part of the address behind `#` tells it. */

/**
 * @typedef {object} Route
 * @property {"live"|"history"} view
 * @property {string | null} callId of the call that is open
 */

/**
 * @param {string} hash
 * @returns {Route}
 */
export function routeOf(hash) {
  const [, view, id = ""] = hash.match(/^#\/(live|history)(?:\/([^/]+))?$/) ?? [];
  return { view: view === "history" ? view : "live", callId: decoded(id) };
}

/**
 * @param {Route} route
 * @returns {string}
 */
export function hashOf({ view, callId }) {
  return `#/${view}${callId === null ? "" : `/${encodeURIComponent(callId)}`}`;
}

/** @param {Route} route */
export function go(route) {
  location.hash = hashOf(route);
}

/**
 * Tell where one is now, and each time that this changes.
 *
 * @param {(route: Route) => void} onRoute
 */
export function followRoute(onRoute) {
  addEventListener("hashchange", () => onRoute(routeOf(location.hash)));
  onRoute(routeOf(location.hash));
}

/** @param {string} id */
function decoded(id) {
  try {
    return id ? decodeURIComponent(id) : null;
  } catch {
    return null; // no part of an address that this page has made
  }
}
