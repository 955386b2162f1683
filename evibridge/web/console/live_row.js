/** One live call in the list. Its elements stay; what has changed of them is written. */

import { expressionList, icon, made, put, setIcon } from "../shared/elements.js";
import {
  callerWords, GOAL_MS, lastsNow, lengthOf, secondsOf, stateIcon, stateTone, stateWord, tagline,
} from "./words.js";

/** @typedef {import("./types").Operator} Operator */
/** @typedef {import("./types").Summary} Summary */

export class LiveRow {
  node = made("div", "call");
  strip = made("canvas", "strip");
  #icon = icon("wave");
  #state = made("span");
  #name = made("span");
  #detail = made("small");
  #length = made("time", "c-dur");
  #who = made("span", "who");
  #whoName = made("span", "sr");
  #words = made("span");
  #agent = made("span", "c-agent");
  #tagline = made("span", "tagline");
  #space = made("span", "grow dot");
  #expression = made("ul");
  #shownExpression = "";
  #response = made("span", "c-lat");
  #label = made("span", "sr");
  #told = "";

  /** @param {string} callId */
  constructor(callId) {
    const { node } = this;
    node.setAttribute("role", "option");
    node.setAttribute("aria-selected", "false");
    node.tabIndex = -1;
    node.dataset.call = callId;
    for (const text of [this.#name, this.#detail, this.#words, this.#agent]) text.dir = "auto";
    this.#who.append(this.#whoName);
    node.append(
      holding("c-state", this.#icon, this.#state),
      holding("c-caller cut", this.#name, this.#detail),
      this.#length,
      holding("c-words cut", this.#who, this.#words),
      holding("c-strip", this.strip),
      holding("c-meta", this.#tagline, this.#space),
    );
    // What is read out of the row are the words of its label.
    for (const cell of node.children) cell.setAttribute("aria-hidden", "true");
    node.append(this.#label);
  }

  /**
   * @param {Summary} summary
   * @param {Operator} me
   * @param {number} now in ms of the server's clock
   */
  update(summary, me, now) {
    const name = summary.agent ?? "";
    const state = stateWord(summary, me);
    const { name: caller, detail } = callerWords(summary);
    this.#mark(`is-${stateTone(summary)}`);
    setIcon(this.#icon, stateIcon(summary));
    put(this.#state, tagline(summary, me, now));
    put(this.#name, caller);
    put(this.#detail, detail);
    put(this.#length, lengthOf(lastsNow(summary, now)));
    put(this.#tagline, tagline(summary, me, now));
    this.#updateWords(summary, me);
    this.#show(this.#agent, name !== "", this.#tagline);
    put(this.#agent, name);
    this.#updateFigures(summary);
    this.#tell(state, [caller, detail].filter(Boolean).join(" "));
  }

  /** @param {Summary} summary @param {Operator} me */
  #updateWords({ last_line: line, taken_over_by: operator }, me) {
    const who = line?.who ?? "caller";
    const className = who === "caller" ? "who" : `who ${who}`;
    if (this.#who.className !== className) this.#who.className = className;
    this.#who.hidden = !line;
    const name = operator === me.name ? "You" : operator ?? "Operator";
    const speaker = who === "operator" ? name : who === "agent" ? "Agent" : "Caller";
    this.#whoName.classList.toggle("sr", who !== "operator");
    put(this.#whoName, `${speaker}: `);
    put(this.#words, line?.text ?? "");
  }

  /** @param {Summary} summary */
  #updateFigures({ expression, response_ms: ms }) {
    const shown = expression ? `${expression.name} ${expression.score}` : "";
    if (shown !== this.#shownExpression) {
      this.#expression.remove();
      if (expression) this.#expression = oneExpression(expression);
      this.#shownExpression = shown;
    }
    this.#show(this.#response, ms !== null, null);
    this.#show(this.#expression, expression !== null, ms === null ? null : this.#response);
    if (ms === null) return;
    put(this.#response, secondsOf(ms));
    this.#response.classList.toggle("slow", ms > GOAL_MS);
  }

  /**
   * The name that a screen reader says. On the row that has the focus only another state renews it,
   * because some readers say it again each time.
   *
   * @param {string} state
   * @param {string} caller
   */
  #tell(state, caller) {
    const key = `${state}, ${caller}`;
    if (this.#told === key && this.node === document.activeElement) return;
    this.#told = key;
    const words = this.#words.textContent ? `. ${this.#whoName.textContent}${this.#words.textContent}` : "";
    put(this.#label, `${key}, ${this.#length.textContent}${words}`);
  }

  /** @param {string} tone */
  #mark(tone) {
    const className = tone === "is-" ? "call" : `call ${tone}`;
    if (this.node.className !== className) this.node.className = className;
  }

  /**
   * @param {Element} cell
   * @param {boolean} isThere
   * @param {Element | null} next the cell after it
   */
  #show(cell, isThere, next) {
    if (isThere === Boolean(cell.parentNode)) return;
    if (isThere) this.#space.parentNode?.insertBefore(cell, next);
    else cell.remove();
  }
}

/** @param {{name: string, score: number}} expression its name gives way where there is little room */
function oneExpression(expression) {
  const list = expressionList([expression]);
  list.firstElementChild?.firstChild?.replaceWith(made("span", "cut", expression.name));
  return list;
}

/** @param {string} className @param {...Element} children */
function holding(className, ...children) {
  const element = made("span", className);
  element.append(...children);
  return element;
}
