/** The operator's token, kept as long as the tab is open. */

const KEY = "evibridge.operator";
/**
 * For browsers that keep nothing.
 * @type {string | null}
 */
let ours = null;

/** @returns {string | null} null if there is none */
export function readToken() {
  return tried(() => sessionStorage.getItem(KEY)) ?? ours;
}

/** @param {string} token */
export function keepToken(token) {
  ours = token;
  tried(() => sessionStorage.setItem(KEY, token));
}

export function forgetToken() {
  ours = null;
  tried(() => sessionStorage.removeItem(KEY));
}

/**
 * @template T
 * @param {() => T} use of a storage that may be forbidden or full
 */
function tried(use) {
  try {
    return use();
  } catch {
    return null;
  }
}
