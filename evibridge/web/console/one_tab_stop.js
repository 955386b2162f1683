/** Several controls with one tab stop: keys lead from one to the next. */

/** @type {Record<string, number>} */
const STEPS = {
  ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1, Home: -Infinity, End: Infinity,
};
const BUTTONS = "button:not([hidden])";

/**
 * Where a key leads to, -1 for nowhere. In a ring the first comes after the last. Pure.
 *
 * @param {string} key
 * @param {number} index
 * @param {number} count
 */
export function nextOf(key, index, count, isRing = true) {
  const to = index + STEPS[key];
  if (index < 0 || Number.isNaN(to)) return -1;
  return isRing && Number.isFinite(to) ? (to + count) % count : Math.min(count - 1, Math.max(0, to));
}

export class TabStop {
  #box;
  #selector;

  /**
   * @param {HTMLElement} box
   * @param {string} selector of the controls
   * @param {object} how
   * @param {string[]} [how.arrows] keys that lead on, beside Home and End
   * @param {boolean} [how.isRing]
   * @param {(arrived: HTMLElement) => void} [how.onArrive] a key has brought the focus there
   */
  constructor(box, selector, { arrows = Object.keys(STEPS), isRing = false, onArrive } = {}) {
    this.#box = box;
    this.#selector = selector;
    const keys = [...arrows, "Home", "End"];
    box.addEventListener("focusin", ({ target }) => this.settle(target));
    box.addEventListener("keydown", (event) => {
      if (!keys.includes(event.key) || event.ctrlKey || event.altKey || event.metaKey) return;
      const { all } = this;
      const next = all[nextOf(event.key, all.findIndex(isStop), all.length, isRing)];
      if (!next) return;
      event.preventDefault();
      next.focus();
      onArrive?.(next);
    });
  }

  /** @returns {HTMLElement[]} */
  get all() {
    return controlsIn(this.#box, this.#selector);
  }

  /** @returns {HTMLElement | null} the control that Tab leads to */
  get at() {
    return this.all.find(isStop) ?? null;
  }

  /**
   * To be called when controls have come or gone.
   *
   * @param {EventTarget | null} [wanted]
   */
  settle(wanted) {
    settle(this.all, wanted);
  }

  /**
   * Go on by so many controls, and no farther than to the last.
   *
   * @param {number} by
   */
  step(by) {
    const { all } = this;
    all[Math.min(all.length - 1, Math.max(0, all.findIndex(isStop) + by))]?.focus();
  }
}

/**
 * A row of buttons: arrows go round.
 *
 * @param {HTMLElement} row
 * @param {(arrived: HTMLElement) => void} [onArrive] an arrow has brought the focus there
 */
export function makeOneTabStop(row, onArrive) {
  new TabStop(row, BUTTONS, { isRing: true, onArrive }).settle();
}

/**
 * To be called after buttons of such a row came or went.
 *
 * @param {HTMLElement} row
 * @param {EventTarget | null} [wanted]
 */
export function settleTabStop(row, wanted) {
  settle(controlsIn(row, BUTTONS), wanted);
}

/** @param {HTMLElement[]} controls @param {EventTarget | null} [wanted] */
function settle(controls, wanted) {
  const stop = controls.find((control) => control === wanted) ?? controls.find(isStop) ?? controls[0];
  for (const control of controls) {
    const tabIndex = control === stop ? "0" : "-1";
    if (control.getAttribute("tabindex") !== tabIndex) control.setAttribute("tabindex", tabIndex);
  }
}

/** @param {HTMLElement} control */
function isStop(control) {
  return control.getAttribute("tabindex") === "0";
}

/** @param {HTMLElement} box @param {string} selector @returns {HTMLElement[]} */
function controlsIn(box, selector) {
  return [.../** @type {NodeListOf<HTMLElement>} */ (box.querySelectorAll(selector))];
}
