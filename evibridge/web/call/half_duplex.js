/** Whether the agent is heard, and whether the microphone is open then. Pure: time is an argument. */

/** RMS at which the agent begins to be heard (-40 dBFS). */
export const HEARD_LEVEL = 0.01;
/** RMS below which it may have stopped. */
export const SILENT_LEVEL = 0.003;
/** How long it is below that before it has: pauses between words are shorter. */
export const SILENT_FOR_S = 0.3;
/** How long the microphone stays shut after that: the room still sounds. */
export const SHUT_FOR_S = 0.3;

export class Audible {
  #heardAtS = -Infinity;
  isHeard = false;

  /**
   * @param {number} level RMS, 0 to 1
   * @param {number} nowS
   * @returns {boolean} whether `isHeard` has changed
   */
  update(level, nowS) {
    const wasHeard = this.isHeard;
    if (level >= (wasHeard ? SILENT_LEVEL : HEARD_LEVEL)) this.#heardAtS = nowS;
    this.isHeard = nowS - this.#heardAtS < SILENT_FOR_S;
    return this.isHeard !== wasHeard;
  }
}

export class HalfDuplexGate {
  #heardAtS = -Infinity;

  /**
   * Whether the microphone may be open.
   *
   * @param {boolean} isHeard whether the agent is heard
   * @param {number} nowS
   */
  isOpen(isHeard, nowS) {
    if (isHeard) this.#heardAtS = nowS;
    return nowS - this.#heardAtS >= SHUT_FOR_S;
  }
}
