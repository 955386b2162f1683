/** The time by the server's clock: the computer of the page may be an hour off, or be set meanwhile. */

/** @typedef {import("./types").Moment} Moment */

/** For so long, and as long again, the best known difference counts. */
const WINDOW_MS = 60_000;

export class ServerClock {
  #steady;
  #before = -Infinity;
  #best = -Infinity;
  #sinceMs = 0;
  #guess;

  /**
   * @param {() => number} [steady] ms of a clock that nobody sets
   * @param {number} [nowMs] by the clock of this computer, until the server is heard
   */
  constructor(steady = () => performance.now(), nowMs = Date.now()) {
    this.#steady = steady;
    this.#guess = nowMs - steady();
  }

  /**
   * The server says that it is so late. Of several the latest counts: the others were longer on their way,
   * or are told again.
   *
   * @param {Moment} at
   */
  heard(at) {
    const now = this.#steady();
    const ahead = Date.parse(at) - now;
    if (Number.isNaN(ahead)) return;
    if (now - this.#sinceMs >= WINDOW_MS) {
      this.#before = this.#best;
      this.#best = -Infinity;
      this.#sinceMs = now;
    }
    this.#best = Math.max(this.#best, ahead);
  }

  /** ms since 1970 by the server's clock */
  now() {
    const ahead = Math.max(this.#before, this.#best);
    return this.#steady() + (ahead === -Infinity ? this.#guess : ahead);
  }
}
