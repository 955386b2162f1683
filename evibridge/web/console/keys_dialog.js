/** The list of keys, and the choices of whoever reads it. It is loaded when it is first wanted. */

import { button, made } from "../shared/elements.js";
import { KEYS } from "./keyboard.js";

/** @typedef {import("./shortcuts.js").Shortcuts} Shortcuts */

/** @type {Record<string, string>} */
const CAPS = { Escape: "Esc", Control: "Ctrl" };
/**
 * What the actions are in words.
 * @type {Record<string, string>}
 */
export const WORDS = {
  search: "Search",
  next: "Next call",
  previous: "Call before",
  open: "Open the call",
  back: "Back",
  listen: "Listen",
  pause: "Pause or resume the agent",
  hold: "Hold or release the call",
  takeOver: "Take over or hand back",
  transfer: "Transfer",
  hangUp: "Hang up, then Enter",
  say: "Say something to the caller",
  whisper: "Whisper to the agent",
  approvalFocus: "Go to the approval",
  "": "Approve, while the approval has the focus",
  newest: "Newest line",
  help: "This list",
};

/** @param {Shortcuts} choices @returns {() => void} opens it; the focus comes back when it is closed */
export function keysDialog(choices) {
  const dialog = made("dialog", "keys");
  const heading = made("h2", "", "Keys");
  heading.id = "keys-title";
  dialog.setAttribute("aria-labelledby", heading.id);
  const list = made("dl");
  for (const [key, action] of KEYS) {
    const cap = made("dt");
    for (const part of key.split("+")) cap.append(made("kbd", "", CAPS[part] ?? part), " ");
    list.append(cap, made("dd", "", WORDS[action]));
  }
  dialog.append(
    heading,
    list,
    choice("Single letters act as keys", choices, "lettersAct"),
    choice("Read the conversation aloud (for screen readers)", choices, "readsAloud"),
    button({ label: "Close", className: "btn keep", onPress: () => dialog.close() }),
  );
  document.body.append(dialog);
  return () => {
    if (dialog.open) return;
    const origin = document.activeElement;
    dialog.onclose = () => origin instanceof HTMLElement && origin.focus();
    dialog.showModal();
  };
}

/** @param {string} words @param {Shortcuts} choices @param {"lettersAct" | "readsAloud"} name */
function choice(words, choices, name) {
  const label = made("label");
  const box = made("input");
  box.type = "checkbox";
  box.checked = choices[name];
  box.addEventListener("change", () => (choices[name] = box.checked));
  label.append(box, " ", words);
  return label;
}
