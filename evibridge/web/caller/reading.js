/** Final utterances for screen readers and Braille displays, if the caller wants that. */

const MOST_KEPT = 20;

export class Reading {
  #region;

  /** @param {HTMLElement} region a polite one; what is added to it is read out */
  constructor(region) {
    this.#region = region;
    this.isOn = false;
  }

  /** @param {string} speaker @param {string} text */
  read(speaker, text) {
    if (!this.isOn) return;
    const line = document.createElement("p");
    line.textContent = `${speaker}: ${text}`;
    this.#region.append(line);
    if (this.#region.childElementCount > MOST_KEPT) this.#region.firstElementChild?.remove();
  }
}
