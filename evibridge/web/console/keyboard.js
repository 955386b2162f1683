/** What the keys of the console do. */

/**
 * Key as `aria-keyshortcuts` writes it, and action.
 *
 * @type {readonly (readonly [string, string])[]}
 */
export const KEYS = [
  ["/", "search"],
  ["J", "next"],
  ["K", "previous"],
  ["Enter", "open"],
  ["Escape", "back"],
  ["L", "listen"],
  ["P", "pause"],
  ["H", "hold"],
  ["O", "takeOver"],
  ["F", "transfer"],
  ["Shift+X", "hangUp"],
  ["S", "say"],
  ["W", "whisper"],
  ["A", "approvalFocus"],
  ["Control+Enter", ""],
  ["End", "newest"],
  ["?", "help"],
];
const ACTIONS = new Map([...KEYS, ["ArrowDown", "next"], ["ArrowUp", "previous"]]);
/** These belong to what has the focus. */
const NEED_FREEDOM = ["Enter", "ArrowDown", "ArrowUp"];
const STEPS = ["next", "previous"];

/** @param {string} action @returns {string} "" for one without a key */
export function keyOf(action) {
  return KEYS.find((entry) => entry[1] === action)?.[0] ?? "";
}

/**
 * @typedef {object} Key
 * @property {string} key
 * @property {boolean} [repeat]
 * @property {boolean} [isComposing]
 * @property {boolean} [shiftKey]
 * @property {boolean} [ctrlKey]
 * @property {boolean} [altKey]
 * @property {boolean} [metaKey]
 */
/**
 * @typedef {object} Place
 * @property {boolean} isWriting the focus is where letters are written or chosen
 * @property {boolean} isFree nothing has the focus, so that Enter and the arrows belong to nobody else
 * @property {boolean} isDialog the focus is in a dialog, which has its own keys
 * @property {boolean} lettersAct
 */

/**
 * The action of a key, "" for none. Pure.
 *
 * @param {Key} pressed
 * @param {Place} place
 */
export function actionOf(pressed, { isWriting, isFree, isDialog, lettersAct }) {
  const { key } = pressed;
  if (pressed.isComposing || pressed.ctrlKey || pressed.altKey || pressed.metaKey || isDialog) return "";
  if (isWriting) return key === "Escape" ? "leave" : "";
  if (NEED_FREEDOM.includes(key) && !isFree) return "";
  // The list of keys can always be had: it is where letters are switched on again.
  if (key.length === 1 && key !== "?" && !lettersAct) return "";
  const name = /^[a-z]$/i.test(key) ? `${pressed.shiftKey ? "Shift+" : ""}${key.toUpperCase()}` : key;
  const action = ACTIONS.get(name) ?? "";
  return pressed.repeat && !STEPS.includes(action) ? "" : action;
}

/** So long the next letter may come after the one before. */
const REST_MS = 1500;

/** Keeps the rest of a sentence, whose field went while it was written, from acting as keys. Pure. */
export class Typing {
  #at = -Infinity;

  /**
   * @param {Key} pressed
   * @param {boolean} isWriting the focus is in a field
   * @param {number} now ms
   * @returns {boolean} whether the key belongs to what was being written
   */
  takes({ key, ctrlKey, altKey, metaKey }, isWriting, now) {
    const isLeaving = key === "Tab" || key === "Escape" || (key === "Enter" && isWriting);
    if (isLeaving) this.stop();
    const goesOn = !isWriting && now - this.#at < REST_MS;
    if (ctrlKey || altKey || metaKey || (key.length > 1 && key !== "Enter")) return false;
    if (!isLeaving && (isWriting || goesOn)) this.#at = now;
    return goesOn;
  }

  /** What comes now is meant for what has the focus. */
  stop() {
    this.#at = -Infinity;
  }
}

/** @typedef {"search"|"open"|"back"|"listen"|"pause"|"hold"|"takeOver"|"transfer"} MostActions */
/** @typedef {MostActions|"hangUp"|"say"|"whisper"|"approvalFocus"|"newest"|"help"} Action */
/** @typedef {Partial<Record<Action, () => void>> & {step?: (by: 1 | -1) => void}} Actions */

/**
 * Let keys act from now on.
 *
 * @param {() => boolean} lettersAct
 * @param {Actions} actions
 */
export function followKeys(lettersAct, actions) {
  const typing = new Typing();
  document.addEventListener("pointerdown", () => typing.stop(), true);
  document.addEventListener("keydown", (event) => {
    const { isWriting } = placeOf(document.activeElement, true);
    if (!typing.takes(event, isWriting, event.timeStamp)) return;
    event.preventDefault();
    event.stopPropagation();
  }, true);
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented) return;
    const action = actionOf(event, placeOf(document.activeElement, lettersAct()));
    if (!action) return;
    const { activeElement } = document;
    if (action === "leave") {
      if (activeElement instanceof HTMLElement) activeElement.blur();
      return;
    }
    const act = STEPS.includes(action)
      ? actions.step && (() => actions.step?.(action === "next" ? 1 : -1))
      : actions[/** @type {Action} */ (action)];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

/**
 * @param {Element | null} focused
 * @param {boolean} lettersAct
 * @returns {Place}
 */
function placeOf(focused, lettersAct) {
  const isBox = focused instanceof HTMLInputElement && ["checkbox", "radio"].includes(focused.type);
  const isField = Boolean(focused?.matches("input, textarea, select"));
  const isEditable = focused instanceof HTMLElement && focused.isContentEditable;
  return {
    isWriting: (isField && !isBox) || isEditable,
    isFree: !focused || focused === document.body,
    isDialog: Boolean(focused?.closest("dialog, [role=dialog], [role=alertdialog]")),
    lettersAct,
  };
}
