/** Puts what `page_words` says into the document; writes only what has changed. */

import { put, setIcon } from "../shared/elements.js";
import { ClickGuard } from "./click_guard.js";
import { toolFaces } from "./tool_faces.js";

/** @typedef {import("./page_state.js").PageState} PageState */
/** @typedef {import("./page_words.js").Shown} Shown */
/** @typedef {import("./tool_faces.js").Face} Face */

/** Longer titles of a call are set smaller. */
const ROOM = 15;
/** @type {Record<string, string>} */
const KEYS = { mute: "M", pause: "P", "type-open": "T" };

/** Knows what each button does, and since when. */
export const guard = new ClickGuard();

/**
 * The element with an id that the page has.
 * @template {HTMLElement} [Kind=HTMLElement]
 * @param {string} id
 * @returns {Kind}
 */
export function part(id) {
  return /** @type {Kind} */ (document.getElementById(id));
}

/**
 * @param {Shown} shown
 * @param {PageState} state
 * @param {string} agent name of the agent
 */
export function showStage(shown, state, agent) {
  document.documentElement.dataset.state = shown.name;
  document.title = shown.name === "idle" ? agent : `${shown.title}: ${agent}`;
  showWords(shown);
  set(part("sound-open"), "aria-expanded", String(state.soundIsOpen));
  put(part("read").lastElementChild, state.isReading ? "Hide" : "Read the conversation");
  showTools(toolFaces(state));
  showOneButton(shown);
  showOtherWay(shown);
  showParts(partsOf(shown, state), shown, state);
}

/**
 * Which parts are there.
 * @param {Shown} shown
 * @param {PageState} state
 * @returns {Record<string, boolean>}
 */
function partsOf(shown, state) {
  const isClosed = !state.soundIsOpen;
  const hasTools = shown.isInCall && isClosed;
  return {
    state: isClosed,
    ribbon: shown.hasMeter && isClosed,
    steps: shown.hasSteps && isClosed,
    sound: state.soundIsOpen,
    type: state.isTyping && hasTools,
    small: shown.name === "idle" && shown.act === "talk",
    "other-row": (shown.offers !== "" || shown.offersCancel) && isClosed,
    instead: shown.offers !== "",
    cancel: shown.offersCancel,
    "text-row": shown.offersText && isClosed,
    aside: shown.hasExpression,
    clock: shown.clock !== "",
    mute: hasTools,
    pause: hasTools,
    "type-open": hasTools,
    bar: shown.act !== "none",
  };
}

/**
 * What has the focus does not go before the focus is somewhere else.
 * @param {Record<string, boolean>} parts
 * @param {Shown} shown
 * @param {PageState} state
 */
function showParts(parts, shown, state) {
  const gone = Object.keys(parts).filter((id) => !parts[id] && !part(id).hidden);
  const isTypingNow = parts.type && part("type").hidden && !state.hasMicrophone;
  for (const id of Object.keys(parts)) if (parts[id]) part(id).hidden = false;
  if (!shown.isAlone) document.body.classList.remove("alone");
  const focused = document.activeElement;
  const isGone = gone.some((id) => part(id).contains(focused));
  const isInTalk = shown.isAlone && part("talk").contains(focused);
  const isAtOne = part("one") === focused;
  const beginsToType = isTypingNow && (isAtOne || focused === document.body);
  if (gone.includes("sound") && (isGone || isAtOne)) part("sound-open").focus();
  else if (isGone || isInTalk || beginsToType) refuge(parts, state).focus();
  if (shown.isAlone) document.body.classList.add("alone");
  for (const id of gone) part(id).hidden = true;
  part("bar").classList.toggle("solo", !parts.mute);
}

/**
 * Where the focus is to be when its place goes.
 * @param {Record<string, boolean>} parts that are there
 * @param {PageState} state
 */
function refuge(parts, { hasMicrophone }) {
  if (parts.type && !hasMicrophone) return part("message");
  if (parts.bar) return part("one");
  return part(parts["text-row"] ? "read" : "act");
}

/** @param {Shown} shown */
function showWords({ title, tone, hint, isUrgent, clock }) {
  put(part("title"), title);
  set(part("title"), "class", `${tone} ${title.length > ROOM ? "long" : ""}`.trim());
  put(part("hint"), hint);
  set(part("hint"), "class", isUrgent ? "urgent" : "");
  put(part("clock"), clock);
}

/** @param {Record<string, Face>} faces */
function showTools(faces) {
  for (const [id, { word, label, icon, isPressed }] of Object.entries(faces)) {
    const button = part(id);
    if (isPressed === null) button.removeAttribute("aria-pressed");
    else set(button, "aria-pressed", String(isPressed));
    set(button, "aria-label", label);
    set(button, "title", `${word} (${KEYS[id]})`);
    showFace(button, word, icon);
  }
}

/** @param {Shown} shown */
function showOneButton({ act, actWord, actIcon }) {
  if (act === "none") return; // it is not there
  const button = part("one");
  button.classList.toggle("end", act === "end" || act === "cancel");
  button.firstElementChild?.classList.toggle("spin", act === "cancel");
  if (act === "end") set(button, "aria-keyshortcuts", "Escape");
  else button.removeAttribute("aria-keyshortcuts");
  showFace(button, actWord, actIcon);
}

/** @param {Shown} shown */
function showOtherWay({ offers }) {
  if (offers === "typing") showFace(part("instead"), "Type instead", "keys");
  if (offers === "talking") showFace(part("instead"), "Talk instead", "mic");
}

/** @param {HTMLElement} button @param {string} word @param {string} icon */
function showFace(button, word, icon) {
  put(button.lastElementChild, word);
  guard.does(button.id, word, performance.now());
  const drawing = button.querySelector("svg");
  if (drawing) setIcon(drawing, icon);
}

/** @param {Element} element @param {string} name @param {string} value */
function set(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}
