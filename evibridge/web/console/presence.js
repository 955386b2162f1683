/** Tells the service that the operator is still there, for the calls that he has taken over. */

/** The service gives a call back to the agent when nothing was seen of its operator for a minute. */
const AGAIN_MS = 20000;

/** @typedef {import("./types").Summary} Summary */

export class Presence {
  #tell;
  #toldAt = -Infinity;

  /** @param {(callId: string) => Promise<unknown>} tell asks for a call that he has; what fails is said again */
  constructor(tell) {
    this.#tell = tell;
  }

  /**
   * Say it, if it is time.
   *
   * @param {Summary[]} calls those that go on
   * @param {string} me
   * @param {number} now in ms
   */
  tick(calls, me, now) {
    const mine = calls.filter((call) => call.taken_over_by === me);
    if (!mine.length || now - this.#toldAt < AGAIN_MS) return;
    this.#toldAt = now;
    for (const { call_id: id } of mine) this.#tell(id).catch(() => {});
  }
}
