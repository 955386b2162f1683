/** What the caller has chosen on this device. */

const PREFIX = "evibridge.";

/** @param {string} name @returns {string} "" if nothing was chosen, or may not be kept */
export function preferred(name) {
  try {
    return localStorage.getItem(PREFIX + name) ?? "";
  } catch {
    return "";
  }
}

/** @param {string} name @param {string} value */
export function prefer(name, value) {
  try {
    localStorage.setItem(PREFIX + name, value);
  } catch {
    // The browser keeps nothing for this page: the choice holds until it is closed.
  }
}
