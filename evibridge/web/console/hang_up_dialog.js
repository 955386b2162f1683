/** Asks before a call is hung up. */

import { button, made } from "../shared/elements.js";
import { Popover } from "./popover.js";

export class HangUpDialog {
  #popover;
  #keep;
  #hangUp;

  /**
   * @param {HTMLElement} parent
   * @param {() => void} onHangUp
   */
  constructor(parent, onHangUp) {
    const acts = made("div", "acts");
    const keep = () => this.#popover.close();
    this.#keep = button({ label: "Keep the call", className: "btn keep", onPress: keep });
    this.#hangUp = button({
      label: "Hang up",
      icon: "end",
      className: "btn bad keep",
      onPress: () => {
        this.#popover.close();
        onHangUp();
      },
    });
    acts.append(this.#keep, this.#hangUp);
    this.#popover = new Popover(parent, "alertdialog", acts);
  }

  /**
   * @param {object} what
   * @param {string} what.name of the caller
   * @param {HTMLElement} what.origin the button that was pressed
   * @param {boolean} what.isEnding the call ends anyway, once the last word was heard
   * @param {boolean} what.isByKeys whoever has pressed the two keys only has to confirm it
   */
  open({ name, origin, isEnding, isByKeys }) {
    const focus = isByKeys ? this.#hangUp : this.#keep;
    const after = isEnding ? " at once?" : "?";
    this.#popover.open({ before: "Hang up on", name, after, origin, focus });
  }

  close() {
    this.#popover.close(false);
  }

  /** @param {HTMLElement} heir of the focus */
  end(heir) {
    this.#popover.end(heir);
  }
}
