/** Waits that can be broken off. */

/**
 * Settles as `promise` does, or rejects with the signal's reason once that is aborted.
 *
 * @template Value
 * @param {Promise<Value>} promise
 * @param {AbortSignal} signal
 * @returns {Promise<Value>}
 */
export function unlessAborted(promise, signal) {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    if (signal.aborted) abort();
    signal.addEventListener("abort", abort);
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/**
 * Wait so long, or until an event.
 *
 * @param {number} seconds
 * @param {EventTarget} target
 * @param {string} type of an event that ends the wait sooner
 * @returns {Promise<void> & {cancel(): void}}
 */
export function waitOrEvent(seconds, target, type) {
  /** @type {() => void} */
  let done = () => {};
  const wait = new Promise((resolve) => {
    const timer = setTimeout(() => done(), seconds * 1000);
    done = () => {
      clearTimeout(timer);
      target.removeEventListener(type, done);
      resolve(undefined);
    };
    target.addEventListener(type, done);
  });
  return Object.assign(/** @type {Promise<void>} */ (wait), { cancel: () => done() });
}
