/** What the user does that lets a page make sound, each on some kind of device. */
const GESTURES = ["pointerdown", "pointerup", "touchend", "keydown"];

/** Browsers play no sound on a page that nobody has touched: what is blocked is tried again then. */
export class SoundUnlock {
  #target;
  #onBlocked;
  /** @type {Set<() => void>} */
  #blocked = new Set();
  #gesture = () => {
    for (const retry of [...this.#blocked]) retry();
  };

  /**
   * @param {EventTarget} target where gestures are seen: the document
   * @param {() => void} onBlocked no sound comes until the next gesture
   */
  constructor(target, onBlocked) {
    this.#target = target;
    this.#onBlocked = onBlocked;
  }

  /**
   * Something makes no sound.
   *
   * @param {() => void} retry is called at each gesture until `released(retry)`
   */
  blocked(retry) {
    if (this.#blocked.has(retry)) return;
    this.#blocked.add(retry);
    if (this.#blocked.size > 1) return;
    for (const type of GESTURES) this.#target.addEventListener(type, this.#gesture, true);
    this.#onBlocked();
  }

  /** @param {() => void} retry */
  released(retry) {
    if (this.#blocked.delete(retry) && this.#blocked.size === 0) this.#ignoreGestures();
  }

  close() {
    this.#blocked.clear();
    this.#ignoreGestures();
  }

  #ignoreGestures() {
    for (const type of GESTURES) this.#target.removeEventListener(type, this.#gesture, true);
  }
}
