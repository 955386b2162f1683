/** Elements of the document, made in one way everywhere. Texts are never read as markup. */

const SVG = "http://www.w3.org/2000/svg";
const SHOWN_EXPRESSIONS = 3;

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} [className]
 * @param {string} [text]
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function made(tag, className = "", text = "") {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text) element.textContent = text;
  return element;
}

/**
 * A drawing of the sheet, for eyes only.
 *
 * @param {string} name
 * @param {boolean} [isSmall]
 */
export function icon(name, isSmall = false) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("class", isSmall ? "i i-s" : "i");
  drawing.setAttribute("aria-hidden", "true");
  drawing.append(document.createElementNS(SVG, "use"));
  setIcon(drawing, name);
  return drawing;
}

/**
 * @param {Element} drawing made by `icon`
 * @param {string} name
 */
export function setIcon(drawing, name) {
  const href = `web/icons.svg#i-${name}`;
  const use = drawing.firstElementChild;
  if (use && use.getAttribute("href") !== href) use.setAttribute("href", href);
}

/**
 * Write a text, if it is not there already.
 *
 * @param {Element | null} element
 * @param {string} text
 */
export function put(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

/**
 * A button with a drawing and a word, either of which may be left out; `title` names one without a word.
 *
 * @param {{label?: string, icon?: string, className?: string, title?: string, keys?: string, onPress: () => void}} what
 */
export function button({ label = "", icon: drawing, className = "btn", title = "", keys = "", onPress }) {
  const control = made("button", className);
  control.type = "button";
  if (drawing) control.append(icon(drawing));
  if (label) control.append(made("span", "l", label));
  if (title) control.title = title;
  if (title && !label) control.setAttribute("aria-label", title);
  if (keys) control.setAttribute("aria-keyshortcuts", keys);
  control.addEventListener("click", onPress);
  return control;
}

/**
 * How a voice sounded: the three strongest of its scores, from 0 to 1.
 *
 * @param {{name: string, score: number}[]} scores strongest first
 */
export function expressionList(scores) {
  const list = made("ul", "expr");
  list.setAttribute("aria-label", "Expression");
  for (const { name, score } of scores.slice(0, SHOWN_EXPRESSIONS)) {
    const bar = made("i");
    bar.setAttribute("role", "img");
    bar.setAttribute("aria-label", score.toFixed(2));
    bar.style.setProperty("--v", String(Math.min(1, Math.max(0, score))));
    const entry = made("li", "", name);
    entry.title = `${name} ${score.toFixed(2)}`;
    entry.append(bar);
    list.append(entry);
  }
  return list;
}
