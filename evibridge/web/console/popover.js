/** A question beside the button that it is about. The page behind it goes on. */

import { made, put } from "../shared/elements.js";

/** So long is told that the call has ended before the question goes. */
const TOLD_MS = 2000;
let count = 0;

export class Popover {
  element;
  #heading = made("h2");
  #ended = made("p", "", "The call has ended.");
  /** @type {HTMLElement | null} */
  #origin = null;
  #timer = 0;

  /**
   * @param {HTMLElement} parent
   * @param {"dialog" | "alertdialog"} role
   * @param {HTMLElement} content
   */
  constructor(parent, role, content) {
    count += 1;
    this.element = made("div", "pop");
    this.element.hidden = true;
    this.element.tabIndex = -1;
    this.#heading.id = `pop-${count}`;
    this.element.setAttribute("role", role);
    this.element.setAttribute("aria-labelledby", this.#heading.id);
    this.#ended.setAttribute("role", "status");
    this.element.append(this.#heading, content, this.#ended);
    parent.append(this.element);
    this.element.addEventListener("keydown", (event) => this.#key(event));
    document.addEventListener("pointerdown", ({ target }) => {
      const isOutside = target instanceof Node && !this.element.contains(target);
      if (this.isOpen && isOutside && !this.#origin?.contains(target)) this.close(false);
    });
  }

  get isOpen() {
    return !this.element.hidden;
  }

  /**
   * @param {object} what
   * @param {string} what.before the heading, up to the name of somebody
   * @param {string} what.name
   * @param {string} [what.after]
   * @param {HTMLElement} what.origin gets the focus back
   * @param {HTMLElement} what.focus
   */
  open({ before, name, after = "", origin, focus }) {
    const who = made("bdi", "", name);
    this.#heading.replaceChildren(`${before} `, who, after);
    this.#origin = origin;
    this.#tellsEnd(false);
    this.element.hidden = false;
    origin.setAttribute("aria-expanded", "true");
    focus.focus();
  }

  /** @param {boolean} [focusesOrigin] */
  close(focusesOrigin = true) {
    if (!this.isOpen) return;
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.element.hidden = true;
    this.#origin?.removeAttribute("aria-expanded");
    if (focusesOrigin) this.#origin?.focus();
  }

  /**
   * There is nothing to ask any more: say so, and go.
   *
   * @param {HTMLElement} heir gets the focus, if it is here
   */
  end(heir) {
    if (!this.isOpen || this.#timer) return;
    const hadFocus = this.element.contains(document.activeElement);
    this.#tellsEnd(true);
    if (hadFocus) this.element.focus();
    this.#timer = window.setTimeout(() => {
      const hasFocus = this.element.contains(document.activeElement);
      this.close(false);
      if (hasFocus) heir.focus();
    }, TOLD_MS);
  }

  /** @param {boolean} isEnded */
  #tellsEnd(isEnded) {
    for (const part of this.element.children) {
      if (part instanceof HTMLElement) part.hidden = isEnded && part !== this.#ended;
    }
    this.#ended.hidden = !isEnded;
    put(this.#ended, isEnded ? "The call has ended." : "");
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    if (event.key === "Escape") this.close();
    else if (event.key !== "Tab" || !this.#wrap(event.shiftKey)) return;
    event.preventDefault();
  }

  /**
   * The focus stays here until there is an answer.
   *
   * @param {boolean} isBack
   */
  #wrap(isBack) {
    const stops = this.element.querySelectorAll(/** @type {"button"} */ ("button, input"));
    const [first, last] = [stops[0], stops[stops.length - 1]];
    const here = document.activeElement;
    if (here !== (isBack ? first : last) && here !== this.element) return false;
    (isBack ? last : first).focus();
    return true;
  }
}
