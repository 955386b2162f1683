/** @typedef {import("./sound_unlock.js").SoundUnlock} SoundUnlock */

/** A context that does not run by then is blocked by the browser. */
const RUNS_WITHIN_MS = 500;

/** An AudioContext that runs as soon as the browser lets it, and again after an interruption. */
export class SoundContext {
  #unlock;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #resume = () => {
    // Rejects only if the context is closed; while it is blocked it stays open.
    this.context.resume().catch(() => {});
  };

  /**
   * @param {SoundUnlock} unlock
   * @param {number} [rateHz] the browser's own if it is not given, or not to be had
   */
  constructor(unlock, rateHz) {
    this.#unlock = unlock;
    this.context = newContext(rateHz);
    this.context.onstatechange = () => this.#watch();
    this.#watch();
  }

  close() {
    clearTimeout(this.#timer);
    this.#unlock.released(this.#resume);
    this.context.onstatechange = null;
    this.context.close().catch(() => {});
  }

  #watch() {
    clearTimeout(this.#timer);
    if (this.context.state === "running") {
      this.#unlock.released(this.#resume);
      return;
    }
    this.#resume();
    this.#timer = setTimeout(() => this.#unlock.blocked(this.#resume), RUNS_WITHIN_MS);
  }
}

/** @param {number | undefined} rateHz */
function newContext(rateHz) {
  try {
    return new AudioContext({ latencyHint: "interactive", sampleRate: rateHz });
  } catch {
    return new AudioContext({ latencyHint: "interactive" });
  }
}
