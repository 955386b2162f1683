/** Whether the browser asks for the microphone while it is being opened. */

/**
 * @param {() => boolean} isWaiting whether it is still being opened
 * @param {() => void} tell that the browser asks
 */
export async function whilePrompting(isWaiting, tell) {
  if ((await asksFirst()) && isWaiting()) tell();
}

async function asksFirst() {
  try {
    const name = /** @type {PermissionName} */ ("microphone"); // the compiler's list lacks it
    return (await navigator.permissions.query({ name })).state === "prompt";
  } catch {
    return true; // a browser that does not tell
  }
}
