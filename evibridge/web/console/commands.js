/** What an operator asks for in one call, and what of it is on its way. */

/** So long a control is locked at most, whatever becomes of its command. */
export const LOCK_MS = 3000;
const IS_ON_ITS_WAY = "The same command is still on its way.";

/** @typedef {{command(callId: string, path: string, body?: object): Promise<unknown>}} CommandApi */
/**
 * @typedef {object} Command
 * @property {string} path
 * @property {object} [body]
 * @property {() => boolean} [until] keeps the control locked until what was asked for is seen
 * @property {boolean} [isNoted] whether a refusal stands in the transcript
 */

export class Commands {
  #api;
  #callId;
  #note;
  #onChange;
  /** @type {Map<string, {isDone: boolean, until: () => boolean, timer: ReturnType<typeof setTimeout>}>} */
  #locks = new Map();

  /**
   * @param {object} parts
   * @param {CommandApi} parts.api
   * @param {string} parts.callId
   * @param {(sentence: string) => void} parts.note takes why something was refused
   * @param {() => void} parts.onChange
   */
  constructor({ api, callId, note, onChange }) {
    this.#api = api;
    this.#callId = callId;
    this.#note = note;
    this.#onChange = onChange;
  }

  /** @param {string} name */
  isPending(name) {
    return this.#locks.has(name);
  }

  /**
   * @param {string} name of the control
   * @param {Command} command
   * @returns {Promise<string>} why it was refused, "" if it is done
   */
  async run(name, { path, body, until = () => true, isNoted = true }) {
    if (this.#locks.has(name)) return IS_ON_ITS_WAY;
    const timer = setTimeout(() => this.#release(name, lock), LOCK_MS);
    const lock = { isDone: false, until, timer };
    this.#locks.set(name, lock);
    this.#onChange();
    try {
      await this.#api.command(this.#callId, path, body);
    } catch (error) {
      const sentence = error instanceof Error ? error.message : String(error);
      if (isNoted) this.#note(sentence);
      this.#release(name, lock);
      return sentence;
    }
    lock.isDone = true;
    this.update();
    return "";
  }

  /** The call has changed: unlock what has come true. */
  update() {
    for (const [name, lock] of this.#locks) if (lock.isDone && lock.until()) this.#release(name, lock);
  }

  /** @param {string} name @param {{timer: ReturnType<typeof setTimeout>}} lock */
  #release(name, lock) {
    clearTimeout(lock.timer);
    if (this.#locks.get(name) !== lock) return;
    this.#locks.delete(name);
    this.#onChange();
  }
}
