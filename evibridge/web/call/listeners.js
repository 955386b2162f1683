/** @typedef {import("../evibridge.js").CallEvents} CallEvents */

/** Who listens to a call's events. */
export class Listeners {
  /** @type {Map<string, Set<(event: any) => void>>} */
  #byType = new Map();

  /**
   * @template {keyof CallEvents} Type
   * @param {Type} type
   * @param {(event: CallEvents[Type]) => void} listener
   * @returns {() => void} stops listening
   */
  on(type, listener) {
    if (typeof listener !== "function") throw new TypeError("on(type, listener): listener must be a function.");
    const once = (/** @type {CallEvents[Type]} */ event) => listener(event);
    const listeners = this.#byType.get(type) ?? new Set();
    this.#byType.set(type, listeners.add(once));
    return () => void listeners.delete(once);
  }

  /**
   * A listener that throws keeps neither the others nor the call from going on.
   *
   * @template {keyof CallEvents} Type
   * @param {Type} type
   * @param {CallEvents[Type]} event
   */
  emit(type, event) {
    for (const listener of [...(this.#byType.get(type) ?? [])]) {
      try {
        listener(event);
      } catch (error) {
        reportError(error);
      }
    }
  }
}
