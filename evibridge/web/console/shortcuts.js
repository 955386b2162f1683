/** Two choices that stay on this device, and the list of keys in which they are made. */

const PREFIX = "evibridge.";
const LETTERS = "letters";
const READS_ALOUD = "reads-aloud";

export class Shortcuts {
  #lettersAct = kept(LETTERS) !== "no";
  #readsAloud = kept(READS_ALOUD) === "yes";
  /** @type {Promise<() => void> | null} */
  #dialog = null;

  get lettersAct() {
    return this.#lettersAct;
  }

  set lettersAct(isOn) {
    this.#lettersAct = isOn;
    keep(LETTERS, isOn);
  }

  get readsAloud() {
    return this.#readsAloud;
  }

  set readsAloud(isOn) {
    this.#readsAloud = isOn;
    keep(READS_ALOUD, isOn);
  }

  async open() {
    this.#dialog ??= import("./keys_dialog.js").then(({ keysDialog }) => keysDialog(this));
    try {
      (await this.#dialog)();
    } catch {
      // The service is away: the next press tries again.
      this.#dialog = null;
    }
  }
}

/** @param {string} name */
function kept(name) {
  try {
    return localStorage.getItem(PREFIX + name);
  } catch {
    // The browser keeps nothing for this page.
    return null;
  }
}

/** @param {string} name @param {boolean} isOn */
function keep(name, isOn) {
  try {
    localStorage.setItem(PREFIX + name, isOn ? "yes" : "no");
  } catch {
    // The choice holds until the page is closed.
  }
}
