/** Puts what `page_words` says into the document; writes only what has changed. */

/** @typedef {import("./page_state.js").PageState} PageState */
/** @typedef {import("./page_words.js").Shown} Shown */

/** Longer titles of a call are set smaller. */
const ROOM = 15;

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
  const { soundIsOpen } = state;
  document.documentElement.dataset.state = shown.name;
  document.title = shown.name === "idle" ? agent : `${shown.title}: ${agent}`;
  document.body.classList.toggle("alone", shown.isAlone);
  showWords(shown);
  show("state", !soundIsOpen);
  show("ribbon", shown.hasMeter && !soundIsOpen);
  show("steps", shown.hasSteps && !soundIsOpen);
  show("sound", soundIsOpen);
  show("type", state.isTyping && shown.isInCall && !soundIsOpen);
  show("small", shown.name === "idle" && !soundIsOpen);
  show("typing-row", shown.offersTyping && !soundIsOpen);
  show("text-row", shown.offersText && !soundIsOpen);
  show("aside", shown.hasExpression);
  set(part("sound-open"), "aria-expanded", String(soundIsOpen));
  put(part("read").lastElementChild, state.isReading ? "Hide" : "Read the conversation");
  showTools(shown, state);
  showOneButton(shown);
}

/** @param {Shown} shown */
function showWords({ title, tone, hint, isUrgent, clock }) {
  put(part("title"), title);
  set(part("title"), "class", `${tone} ${title.length > ROOM ? "long" : ""}`.trim());
  put(part("hint"), hint);
  set(part("hint"), "class", isUrgent ? "urgent" : "");
  put(part("clock"), clock);
  show("clock", clock !== "");
}

/** @param {Shown} shown @param {PageState} state */
function showTools(shown, state) {
  const areThere = shown.isInCall && !state.soundIsOpen;
  for (const id of ["mute", "pause", "type-open"]) show(id, areThere);
  part("bar").classList.toggle("solo", !areThere);
  if (!state.hasMicrophone) showTool("mute", "Talk", "mic", false, "M");
  else if (state.isMuted) showTool("mute", "Unmute", "micoff", true, "M");
  else showTool("mute", "Mute", "mic", false, "M");
  if (state.pausedBy === "operator") showTool("pause", "Paused", "pause", true, "P");
  else if (state.pausedBy) showTool("pause", "Resume", "play", true, "P");
  else showTool("pause", "Pause", "pause", false, "P");
  showTool("type-open", "Type", "keys", state.isTyping, "T");
}

/**
 * @param {string} id
 * @param {string} word
 * @param {string} icon
 * @param {boolean} isPressed
 * @param {string} key
 */
function showTool(id, word, icon, isPressed, key) {
  const button = part(id);
  set(button, "aria-pressed", String(isPressed));
  set(button, "title", `${word} (${key})`);
  showFace(button, word, icon);
}

/** @param {Shown} shown */
function showOneButton({ act, actWord, actIcon }) {
  const button = part("one");
  button.classList.toggle("end", act === "end" || act === "cancel");
  button.firstElementChild?.classList.toggle("spin", act === "cancel");
  if (act === "end") set(button, "aria-keyshortcuts", "Escape");
  else button.removeAttribute("aria-keyshortcuts");
  showFace(button, actWord, actIcon);
}

/** @param {HTMLElement} button @param {string} word @param {string} icon */
function showFace(button, word, icon) {
  put(button.lastElementChild, word);
  const use = button.querySelector("use");
  if (use) set(use, "href", `web/icons.svg#i-${icon}`);
}

/** @param {string} id @param {boolean} isThere */
function show(id, isThere) {
  const element = part(id);
  if (element.hidden === isThere) element.hidden = !isThere;
}

/** @param {Element} element @param {string} name @param {string} value */
function set(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** @param {Element | null} element @param {string} text */
function put(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}
