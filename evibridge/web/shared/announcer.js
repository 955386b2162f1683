/** One sentence at a time for screen readers, and the last one wins: at most one a second. */

export const PACE_MS = 1000;

export class Announcer {
  #region;
  #waiting;
  #isPacing;
  #alarmsMs;

  /**
   * @param {{textContent: string | null}} region whose content is read out when it changes
   * @param {number} [alarmsMs] for alarms: none is lost, as those that come within so many ms are told together
   */
  constructor(region, alarmsMs = 0) {
    this.#region = region;
    this.#alarmsMs = alarmsMs;
    this.#waiting = "";
    this.#isPacing = false;
  }

  /** @param {string} sentence */
  say(sentence) {
    if (this.#isPacing) {
      const before = this.#alarmsMs ? this.#waiting : "";
      this.#waiting = before ? `${before.replace(/\.$/, "")}. ${sentence}` : sentence;
      return;
    }
    this.#region.textContent = sentence;
    this.#isPacing = true;
    setTimeout(() => this.#goOn(), this.#alarmsMs || PACE_MS);
  }

  #goOn() {
    this.#isPacing = false;
    const sentence = this.#waiting;
    this.#waiting = "";
    if (sentence && sentence !== this.#region.textContent) this.say(sentence);
  }
}
