/** Twelve seconds of both sides' levels, and the bars they are drawn as. Pure. */

export const SHOWN_MS = 12_000;
export const SAMPLE_MS = 50;
const SLOTS = SHOWN_MS / SAMPLE_MS;
/** Root mean square that fills a lane; speech is far below full scale. */
const FULL = 0.25;
/** Below it a lane stays empty: noise of a quiet room. */
const QUIET = 0.0008;

export class LevelBars {
  #levels;
  #slot;

  constructor() {
    this.#levels = { caller: new Float32Array(SLOTS), agent: new Float32Array(SLOTS) };
    this.#slot = -1;
  }

  /**
   * The level of the last 50 ms of each side, 0 to 1. Slots that were missed stay empty.
   * @param {number} nowMs
   * @param {number} caller
   * @param {number} agent
   */
  add(nowMs, caller, agent) {
    const slot = Math.floor(nowMs / SAMPLE_MS);
    if (slot - this.#slot >= SLOTS || slot < this.#slot) this.clear();
    for (let at = Math.max(this.#slot + 1, slot - SLOTS + 1); at <= slot; at += 1) {
      this.#levels.caller[at % SLOTS] = 0;
      this.#levels.agent[at % SLOTS] = 0;
    }
    const at = slot % SLOTS;
    this.#levels.caller[at] = Math.max(this.#levels.caller[at], caller);
    this.#levels.agent[at] = Math.max(this.#levels.agent[at], agent);
    this.#slot = slot;
  }

  clear() {
    this.#levels.caller.fill(0);
    this.#levels.agent.fill(0);
    this.#slot = -1;
  }

  /**
   * Heights from 0 to 1, the newest last. A bar always covers the same samples while it moves, so
   * that its height does not flicker.
   * @param {"caller"|"agent"} side
   * @param {number} count bars that twelve seconds are drawn as
   * @returns {Float32Array}
   */
  heights(side, count) {
    const heights = new Float32Array(count);
    const levels = this.#levels[side];
    const slotsPerBar = SLOTS / count;
    const newest = Math.floor(this.#slot / slotsPerBar);
    for (let bar = 0; bar < count && this.#slot >= 0; bar += 1) {
      const from = Math.ceil((newest - count + 1 + bar) * slotsPerBar);
      const until = Math.min(this.#slot + 1, Math.ceil((newest - count + 2 + bar) * slotsPerBar));
      heights[bar] = heightOf(levels, Math.max(from, this.#slot - SLOTS + 1, 0), until);
    }
    return heights;
  }
}

/** @param {Float32Array} levels @param {number} from @param {number} until */
function heightOf(levels, from, until) {
  let sum = 0;
  for (let slot = from; slot < until; slot += 1) sum += levels[slot % SLOTS] ** 2;
  const level = until > from ? Math.sqrt(sum / (until - from)) : 0;
  return level < QUIET ? 0 : Math.min(1, Math.sqrt(level / FULL));
}
