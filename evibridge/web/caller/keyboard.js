/** What a key does. Pure. */

/** @type {Record<string, string>} */
const LETTERS = { m: "mute", p: "pause", t: "type", d: "sound" };
const WRITTEN_IN = ["INPUT", "TEXTAREA", "SELECT"];

/**
 * @typedef {object} Key
 * @property {string} key
 * @property {boolean} [repeat]
 * @property {boolean} [isComposing]
 * @property {boolean} [ctrlKey]
 * @property {boolean} [altKey]
 * @property {boolean} [metaKey]
 */

/**
 * The action of a key, "" for none. Single letters act outside of fields only, and can be off.
 * @param {Key} pressed
 * @param {{tagName?: string, type?: string} | null} target where the focus is
 * @param {boolean} lettersAct
 */
export function actionOf(pressed, target, lettersAct) {
  if (pressed.repeat || pressed.isComposing) return "";
  if (pressed.ctrlKey || pressed.altKey || pressed.metaKey) return "";
  if (pressed.key === "Escape") return "escape";
  const writes = WRITTEN_IN.includes(target?.tagName ?? "") && target?.type !== "checkbox";
  if (!lettersAct || writes) return "";
  const letter = pressed.key.toLowerCase();
  return Object.hasOwn(LETTERS, letter) ? LETTERS[letter] : "";
}
