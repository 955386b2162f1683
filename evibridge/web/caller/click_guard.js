/** Tells clicks from those that were meant for what a button did a moment before. Pure. */

/** The second press of a double click comes by then. */
export const SETTLES_MS = 300;

export class ClickGuard {
  #actions;

  constructor() {
    /** @type {Map<string, {action: string, sinceMs: number}>} */
    this.#actions = new Map();
  }

  /**
   * @param {string} button
   * @param {string} action what it does from now on
   * @param {number} nowMs
   */
  does(button, action, nowMs) {
    const before = this.#actions.get(button);
    if (before?.action === action) return;
    this.#actions.set(button, { action, sinceMs: before ? nowMs : -Infinity });
  }

  /** @param {string} button @param {number} nowMs */
  isMeant(button, nowMs) {
    return nowMs - (this.#actions.get(button)?.sinceMs ?? -Infinity) >= SETTLES_MS;
  }
}
