/** What the keys of the console do. */

/**
 * Key as `aria-keyshortcuts` writes it, action, and what it does in words.
 *
 * @type {readonly (readonly [string, string, string])[]}
 */
export const KEYS = [
  ["/", "search", "Search"],
  ["J", "next", "Next call"],
  ["K", "previous", "Call before"],
  ["Enter", "open", "Open the call"],
  ["Escape", "back", "Back"],
  ["L", "listen", "Listen"],
  ["P", "pause", "Pause or resume the agent"],
  ["H", "hold", "Hold or release the call"],
  ["O", "takeOver", "Take over or hand back"],
  ["F", "transfer", "Transfer"],
  ["Shift+X", "hangUp", "Hang up, then Enter"],
  ["S", "say", "Say something to the caller"],
  ["W", "whisper", "Whisper to the agent"],
  ["A", "approvalFocus", "Go to the approval"],
  ["Control+Enter", "", "Approve, while the approval has the focus"],
  ["End", "newest", "Newest line"],
  ["?", "help", "This list"],
];
const ACTIONS = new Map([...KEYS.map(([key, action]) => /** @type {const} */ ([key, action])),
  ["ArrowDown", "next"], ["ArrowUp", "previous"]]);
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
