/** Whether the other side of a connection is still there. Pure: time is an argument. */

/** The service gives up a page from which nothing came for 5 s. */
export const PING_EACH_S = 1;
/** Timers come a little early, too. */
const SLACK_S = 0.1;
/** How long nothing may come from the service. */
export const DEAD_AFTER_S = 4;

export class Heartbeat {
  #heardAtS;
  #pingedAtS = -Infinity;
  /** @type {number | null} since when nothing came, if a ping is not answered */
  #silentSinceS = null;

  /** @param {number} nowS */
  constructor(nowS) {
    this.#heardAtS = nowS;
  }

  /**
   * Something came from the service.
   *
   * @param {number} nowS
   */
  received(nowS) {
    this.#heardAtS = nowS;
    this.#silentSinceS = null;
  }

  /**
   * What is to be done now. Browsers slow down the timers of hidden pages: only a ping that was
   * sent can go unanswered, not the time in which nothing was asked.
   *
   * @param {number} nowS
   * @returns {"ping" | "dead" | null}
   */
  beat(nowS) {
    if (this.#silentSinceS !== null && nowS - this.#silentSinceS >= DEAD_AFTER_S) return "dead";
    if (nowS - this.#pingedAtS < PING_EACH_S - SLACK_S) return null;
    this.#pingedAtS = nowS;
    this.#silentSinceS ??= Math.max(this.#heardAtS, nowS - PING_EACH_S);
    return "ping";
  }
}
