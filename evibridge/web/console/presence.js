/** Tells the service that the operator is still there, for the calls that were taken over on this page. */

/** The service gives a call back to the agent when nothing was seen of its operator for a minute. */
const AGAIN_MS = 20_000;
const LOOKS_EVERY_MS = 1000;

/** @typedef {import("./types").Summary} Summary */

export class Presence {
  #tell;
  #live;
  /** @type {Map<string, number>} when something was last told of a call, in ms */
  #toldAt = new Map();
  #lookedAt = -Infinity;

  /**
   * @param {object} parts
   * @param {(callId: string) => Promise<unknown>} parts.tell what is refused, or fails, is nobody's concern
   * @param {() => Summary[]} parts.live calls that go on
   */
  constructor({ tell, live }) {
    this.#tell = tell;
    this.#live = live;
  }

  /**
   * A call is taken over here: that alone tells it for now. A page that was forgotten elsewhere keeps none.
   *
   * @param {string} callId
   * @param {number} now ms
   */
  took(callId, now) {
    this.#toldAt.set(callId, now);
  }

  /**
   * Say it, if it is time.
   *
   * @param {string} me
   * @param {number} now ms
   */
  tick(me, now) {
    if (now - this.#lookedAt < LOOKS_EVERY_MS) return;
    const isFirst = this.#lookedAt === -Infinity;
    this.#lookedAt = now;
    for (const { call_id: id, taken_over_by: taker } of this.#live()) {
      if (taker !== me) continue;
      // Who loads the page anew has his calls still.
      if (isFirst) this.#toldAt.set(id, -Infinity);
      if (now - (this.#toldAt.get(id) ?? now) < AGAIN_MS) continue;
      this.#toldAt.set(id, now);
      this.#tell(id).catch(() => {});
    }
  }
}
