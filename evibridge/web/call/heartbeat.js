/** Whether the other side of a connection is still there. Pure: time is an argument. */

/** The service gives up a page from which nothing came for 5 s. */
export const PING_EACH_S = 2;
/** How long a ping may go without any message of the service. */
export const DEAD_AFTER_S = 6;

export class Heartbeat {
  #pingedAtS = -Infinity;
  /** @type {number | null} */
  #unansweredSinceS = null;

  /** Something came from the service. */
  received() {
    this.#unansweredSinceS = null;
  }

  /**
   * What is to be done now. Browsers slow down the timers of hidden pages: only a ping that was
   * sent can go unanswered, not the time in which nothing was asked.
   *
   * @param {number} nowS
   * @returns {"ping" | "dead" | null}
   */
  beat(nowS) {
    if (this.#unansweredSinceS !== null && nowS - this.#unansweredSinceS >= DEAD_AFTER_S) return "dead";
    if (nowS - this.#pingedAtS < PING_EACH_S) return null;
    this.#pingedAtS = nowS;
    this.#unansweredSinceS ??= nowS;
    return "ping";
  }
}
