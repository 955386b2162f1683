/** When a call whose connection was lost is tried again. Pure: time is an argument. */

/** Waits before the first tries; the last one goes for all that follow. */
export const DELAYS_S = [0.25, 0.5, 1, 2];
/** Part of a wait that is added by chance: not all callers of a service come back at once. */
export const JITTER = 0.25;
/** A connection that was lost sooner did not live: the waits go on growing. */
export const LIVED_S = 5;

export class ReconnectSchedule {
  #random;
  #tries = 0;
  #connectedAtS = -Infinity;
  #untilS = 0;

  /** @param {() => number} random from 0 to below 1 */
  constructor(random = Math.random) {
    this.#random = random;
  }

  /** @param {number} nowS */
  connected(nowS) {
    this.#connectedAtS = nowS;
  }

  /**
   * @param {number} nowS
   * @param {number} resumeS how long the service keeps the call
   */
  lost(nowS, resumeS) {
    if (nowS - this.#connectedAtS >= LIVED_S) this.#tries = 0;
    this.#untilS = nowS + resumeS;
  }

  /**
   * How long to wait before the next try, or null if it would come too late.
   *
   * @param {number} nowS
   * @param {number} atLeastS what the service has asked for
   * @returns {number | null}
   */
  next(nowS, atLeastS = 0) {
    const ownS = DELAYS_S[Math.min(this.#tries, DELAYS_S.length - 1)] * (1 + JITTER * this.#random());
    const delayS = Math.max(ownS, atLeastS);
    if (nowS + delayS > this.#untilS) return null;
    this.#tries += 1;
    return delayS;
  }
}
