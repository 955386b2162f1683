/** What is searched for: asked once the typing rests, and again as live calls go on. */

const RESTS_MS = 250;
const AGAIN_MS = 2000;

export class CallSearch {
  #field;
  #find;
  #onText;
  #onFound;
  #text = "";
  #askedAt = -Infinity;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {HTMLInputElement} field
   * @param {object} told
   * @param {(text: string) => Promise<Set<string>>} told.find ids of the live calls that have it
   * @param {(text: string) => void} told.onText the typing rests
   * @param {(found: Set<string> | null) => void} told.onFound null: all
   */
  constructor(field, { find, onText, onFound }) {
    this.#field = field;
    this.#find = find;
    this.#onText = onText;
    this.#onFound = onFound;
    field.disabled = false;
    field.addEventListener("input", () => this.#later(RESTS_MS));
  }

  get text() {
    return this.#text;
  }

  clear() {
    this.#field.value = "";
    this.#rested();
  }

  /** Live calls have gone on: what is searched for may be in others by now. */
  again() {
    if (!this.#text || this.#timer) return;
    this.#later(Math.max(0, this.#askedAt + AGAIN_MS - performance.now()));
  }

  /** @param {number} ms */
  #later(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#rested(), ms);
  }

  #rested() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const text = this.#field.value.trim();
    if (text !== this.#text) {
      this.#text = text;
      this.#onText(text);
      this.#onFound(null);
    }
    if (text) void this.#ask(text);
  }

  /** @param {string} text */
  async #ask(text) {
    this.#askedAt = performance.now();
    try {
      const found = await this.#find(text);
      if (text === this.#text) this.#onFound(found);
    } catch {
      // What the page knows by itself is searched nevertheless, and it is asked again.
    }
  }
}
