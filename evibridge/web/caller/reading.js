/** Final utterances for screen readers and Braille displays, if the caller wants that. */

import { made } from "../shared/elements.js";

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
    this.#region.append(made("p", "", `${speaker}: ${text}`));
    if (this.#region.childElementCount > MOST_KEPT) this.#region.firstElementChild?.remove();
  }
}
