/**
 * The rows of the conversation in the document.
 *
 * Rows live in pages of 50 that are laid out apart from each other, so that a new row touches one
 * page only. A hidden page of the browser draws nothing: frames do not come there.
 */

import { expressionList, icon, made, put, setIcon } from "../shared/elements.js";
import { clockOf, speakerOf } from "./page_words.js";
import { textOf, toolWords } from "./transcript.js";

/** @typedef {import("./transcript.js").Row} Row */
/** @typedef {import("./transcript.js").Transcript} Transcript */

const ROWS_A_PAGE = 50;
const NEAR_END_PX = 40;

export class TranscriptView {
  #transcript;
  #parts;
  #agent;
  #drawn;
  #isDue;
  #isAtEnd;
  #top;

  /**
   * @param {Transcript} transcript
   * @param {{scroller: HTMLElement, log: HTMLElement, jump: HTMLElement}} parts
   * @param {string} agent name of the agent
   */
  constructor(transcript, parts, agent) {
    this.#transcript = transcript;
    this.#parts = parts;
    this.#agent = agent;
    /** @type {Map<number, HTMLElement>} */
    this.#drawn = new Map();
    this.#isDue = false;
    this.#isAtEnd = true;
    this.#top = 0;
    parts.scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    parts.jump.addEventListener("click", () => this.#toEnd());
    new ResizeObserver(() => this.#isAtEnd && this.#toEnd()).observe(parts.scroller);
  }

  /** Something has changed: draw it with the next frame. */
  update() {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.#draw();
    });
  }

  #draw() {
    const { rows, changed } = this.#transcript;
    const isNewer = [...changed].some((key) => rows.has(key) && !this.#drawn.has(key));
    for (const key of changed) {
      const row = rows.get(key);
      if (row) fill(this.#drawn.get(key) ?? this.#append(key), row, this.#agent);
      else this.#forget(key);
    }
    changed.clear();
    if (this.#isAtEnd) this.#toEnd();
    else if (isNewer) this.#parts.jump.hidden = false;
  }

  /** @param {number} key */
  #append(key) {
    const { log } = this.#parts;
    let page = log.lastElementChild;
    if (!page || page.childElementCount >= ROWS_A_PAGE) {
      page?.classList.remove("live");
      page = made("ol", "page live");
      log.append(page);
    }
    const item = made("li");
    page.append(item);
    this.#drawn.set(key, item);
    return item;
  }

  /** @param {number} key */
  #forget(key) {
    const item = this.#drawn.get(key);
    const page = item?.parentElement;
    item?.remove();
    if (page && !page.childElementCount) page.remove();
    this.#drawn.delete(key);
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#parts.scroller;
    // Below a smaller window the end is farther away, although nobody has scrolled.
    if (scrollTop < this.#top) this.#isAtEnd = false;
    if (scrollHeight - scrollTop - clientHeight <= NEAR_END_PX) this.#isAtEnd = true;
    if (this.#isAtEnd) this.#hideJump();
    this.#top = scrollTop;
  }

  /** The focus does not go with the button. */
  #hideJump() {
    const { jump, scroller } = this.#parts;
    if (jump === document.activeElement) scroller.focus({ preventScroll: true });
    jump.hidden = true;
  }

  #toEnd() {
    this.#hideJump();
    this.#isAtEnd = true;
    this.#parts.scroller.scrollTop = Number.MAX_SAFE_INTEGER; // the browser knows where it ends
  }
}

/** @param {HTMLElement} item @param {Row} row @param {string} agent */
function fill(item, row, agent) {
  if (row.tool) fillTool(item, row.tool);
  else fillUtterance(item, row, agent);
}

/** @param {HTMLElement} item @param {NonNullable<Row["tool"]>} tool */
function fillTool(item, tool) {
  if (!item.firstChild) {
    item.className = "did";
    item.append(icon("ring", true), made("span"));
  }
  const isRunning = tool.state === "running";
  const drawing = /** @type {SVGElement} */ (item.firstElementChild);
  drawing.classList.toggle("spin", isRunning);
  setIcon(drawing, isRunning ? "ring" : "fn");
  put(item.lastElementChild, toolWords(tool));
}

/** @param {HTMLElement} item @param {Row} row @param {string} agent */
function fillUtterance(item, row, agent) {
  if (!item.firstChild) {
    const isAgent = row.by === "agent";
    item.className = isAgent ? "utt by-agent" : "utt";
    const who = made("span", isAgent ? "who agent" : "who");
    const time = made("time", "", clockOf(row.atS));
    who.append(`${speakerOf(row.by, agent)} `, time);
    const words = made("p");
    words.dir = "auto";
    const due = made("span", "interim");
    due.setAttribute("aria-hidden", "true");
    words.append(made("span", "said"), due);
    item.append(who, words);
  }
  const words = /** @type {HTMLElement} */ (item.children[1]);
  const { final, due } = textOf(row);
  const [said, waiting] = /** @type {HTMLCollectionOf<HTMLElement>} */ (words.children);
  put(said, final && due ? `${final} ` : final);
  put(waiting, due);
  waiting.hidden = !due;
  fillExpression(item, row);
}

/** @param {HTMLElement} item @param {Row} row */
function fillExpression(item, row) {
  const told = row.expression.map(({ name, score }) => `${name} ${score}`).join();
  if ((item.dataset.expression ?? "") === told) return;
  item.dataset.expression = told;
  item.children[2]?.remove();
  if (told) item.append(expressionList(row.expression));
}
