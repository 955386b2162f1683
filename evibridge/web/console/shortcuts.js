/** The list of keys, and two choices that stay on this device. */

import { button, made } from "../shared/elements.js";
import { KEYS } from "./keyboard.js";

const PREFIX = "evibridge.";
/** @type {Record<string, string>} */
const CAPS = { Escape: "Esc", Control: "Ctrl" };

export class Shortcuts {
  #dialog = made("dialog", "keys");
  #lettersAct = kept("letters") !== "no";
  #readsAloud = kept("reads-aloud") === "yes";
  /** @type {Element | null} */
  #origin = null;

  /** @param {() => void} [onChange] a choice has changed */
  constructor(onChange = () => {}) {
    const heading = made("h2", "", "Keys");
    heading.id = "keys-title";
    this.#dialog.setAttribute("aria-labelledby", heading.id);
    const list = made("dl");
    for (const [key, , words] of KEYS) {
      const cap = made("dt");
      for (const part of key.split("+")) cap.append(made("kbd", "", CAPS[part] ?? part), " ");
      list.append(cap, made("dd", "", words));
    }
    const letters = choice("Single letters act as keys", this.#lettersAct, (isOn) => {
      this.#lettersAct = isOn;
      keep("letters", isOn);
      onChange();
    });
    const reads = choice("Read the conversation aloud (for screen readers)", this.#readsAloud, (isOn) => {
      this.#readsAloud = isOn;
      keep("reads-aloud", isOn);
      onChange();
    });
    const close = button({ label: "Close", className: "btn keep", onPress: () => this.#dialog.close() });
    this.#dialog.append(heading, list, letters, reads, close);
    this.#dialog.addEventListener("close", () => {
      if (this.#origin instanceof HTMLElement) this.#origin.focus();
    });
    document.body.append(this.#dialog);
  }

  get lettersAct() {
    return this.#lettersAct;
  }

  get readsAloud() {
    return this.#readsAloud;
  }

  open() {
    if (this.#dialog.open) return;
    this.#origin = document.activeElement;
    this.#dialog.showModal();
  }
}

/** @param {string} words @param {boolean} isOn @param {(isOn: boolean) => void} onChange */
function choice(words, isOn, onChange) {
  const label = made("label");
  const box = made("input");
  box.type = "checkbox";
  box.checked = isOn;
  box.addEventListener("change", () => onChange(box.checked));
  label.append(box, " ", words);
  return label;
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
