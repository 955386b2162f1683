/** One sentence at a time for screen readers: at most one a second, and the last one wins. */

export const PACE_MS = 1000;

export class Announcer {
  #region;
  #waiting;
  #isPacing;

  /** @param {{textContent: string | null}} region whose content is read out when it changes */
  constructor(region) {
    this.#region = region;
    this.#waiting = "";
    this.#isPacing = false;
  }

  /** @param {string} sentence */
  say(sentence) {
    if (this.#isPacing) {
      this.#waiting = sentence;
      return;
    }
    this.#region.textContent = sentence;
    this.#isPacing = true;
    setTimeout(() => this.#goOn(), PACE_MS);
  }

  #goOn() {
    this.#isPacing = false;
    const sentence = this.#waiting;
    this.#waiting = "";
    if (sentence && sentence !== this.#region.textContent) this.say(sentence);
  }
}
