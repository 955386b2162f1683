/** Several controls with one tab stop: keys go from one to the next. */

export class TabStop {
  /** @type {HTMLElement | null} */
  at = null;
  #box;
  #selector;

  /**
   * @param {HTMLElement} box
   * @param {string} selector of the controls
   * @param {string} back key
   * @param {string} forth key
   */
  constructor(box, selector, back, forth) {
    this.#box = box;
    this.#selector = selector;
    /** @type {Record<string, number>} */
    const steps = { [back]: -1, [forth]: 1, Home: -Infinity, End: Infinity };
    box.addEventListener("focusin", ({ target }) => {
      const control = this.all.find((one) => one === target);
      if (control) this.settle(control);
    });
    box.addEventListener("keydown", (event) => {
      if (!steps[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      this.step(steps[event.key]);
    });
  }

  /** @returns {HTMLElement[]} */
  get all() {
    return [.../** @type {NodeListOf<HTMLElement>} */ (this.#box.querySelectorAll(this.#selector))];
  }

  /**
   * To be called when controls have come or gone.
   *
   * @param {HTMLElement | null} [wanted]
   */
  settle(wanted) {
    const { all } = this;
    const stop = wanted ?? all.find((control) => control === this.at) ?? all[0] ?? null;
    if (this.at && this.at !== stop) this.at.tabIndex = -1;
    if (stop && stop.tabIndex) stop.tabIndex = 0;
    this.at = stop;
  }

  /**
   * Go on by so many controls, and no farther than to the last.
   *
   * @param {number} by
   */
  step(by) {
    const { all } = this;
    const to = (this.at ? all.indexOf(this.at) : -1) + by;
    all[Math.min(all.length - 1, Math.max(0, to))]?.focus();
  }
}
