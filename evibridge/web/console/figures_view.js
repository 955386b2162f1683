/** Figures of one call beside its transcript: expression, response, facts. What is not known is not shown. */

import { button, made, put } from "../shared/elements.js";
import { ExpressionChart } from "./expression_chart.js";
import { makeOneTabStop } from "./one_tab_stop.js";
import { paced } from "./paced.js";
import { ResponseChart } from "./response_chart.js";
import { secondsOf } from "./words.js";

/** @typedef {import("./call_story.js").CallStory} CallStory */
/** @typedef {import("./types").Figures} Figures */
/** @typedef {"caller" | "agent"} Side */

const EVERY_MS = 1000;
const SIDES = /** @type {const} */ ({ caller: "Caller", agent: "Agent" });

export class FiguresView {
  /** @type {CallStory | null} */
  #story = null;
  #now = () => 0;
  /** @type {Side} */
  #side = "caller";
  /** @type {Record<Side, HTMLButtonElement>} */
  #choices;
  #expression = made("section");
  #lines = new ExpressionChart();
  #response = made("section");
  #percentiles = made("span", "muted");
  #bars = new ResponseChart();
  #facts = made("dl", "facts");
  #told = "";
  /** Draw it anew, once a second at most. */
  update = paced(() => this.#draw(), EVERY_MS);

  /** @param {HTMLElement} parent gets the sections */
  constructor(parent) {
    this.#choices = { caller: this.#choice("caller"), agent: this.#choice("agent") };
    const sides = made("span", "seg sm");
    sides.setAttribute("role", "radiogroup");
    sides.ariaLabel = "Whose voice";
    sides.append(this.#choices.caller, this.#choices.agent);
    makeOneTabStop(sides, (choice) => choice.click());
    this.#expression.append(headed("Expression", sides), this.#lines.element);
    this.#response.append(headed("Response per turn", this.#percentiles), this.#bars.element);
    const call = made("section");
    call.append(headed("Call"), this.#facts);
    parent.append(this.#expression, this.#response, call);
  }

  /**
   * @param {CallStory} story
   * @param {() => number} [now] seconds since the call began; else it is as long as is known
   */
  show(story, now = () => 0) {
    this.#story = story;
    this.#now = now;
    this.#draw();
  }

  #draw() {
    if (!this.#story) return;
    const figures = this.#story.figures();
    this.#drawExpression(figures.expression);
    this.#response.hidden = !figures.responses.length;
    const { medianMs, p95Ms } = figures;
    const isKnown = medianMs !== null && p95Ms !== null;
    put(this.#percentiles, isKnown ? `median ${secondsOf(medianMs)} · p95 ${secondsOf(p95Ms)}` : "");
    this.#bars.draw(figures.responses);
    this.#drawFacts(figures.facts);
  }

  /** @param {Figures["expression"]} expression */
  #drawExpression(expression) {
    const all = [...expression.caller, ...expression.agent];
    this.#expression.hidden = !all.length;
    if (!all.length) return;
    const side = expression[this.#side].length ? this.#side : otherThan(this.#side);
    for (const [name, choice] of Object.entries(this.#choices)) {
      choice.ariaChecked = String(name === side);
    }
    this.#lines.element.classList.toggle("by-agent", side === "agent");
    const lengthS = Math.max(this.#now(), ...all.map(({ points }) => points.at(-1)?.atS ?? 0));
    this.#lines.draw(expression[side], lengthS);
  }

  /** @param {Figures["facts"]} facts */
  #drawFacts(facts) {
    const told = JSON.stringify(facts);
    if (told === this.#told) return;
    this.#told = told;
    const parts = facts.map(({ label, value, isCode }) => {
      const shown = made("dd", "", isCode ? "" : value);
      if (isCode) shown.append(made("code", "", value));
      else shown.dir = "auto";
      return [made("dt", "", label), shown];
    });
    this.#facts.replaceChildren(...parts.flat());
  }

  /** @param {Side} side */
  #choice(side) {
    const choice = button({ label: SIDES[side], className: "", onPress: () => this.#choose(side) });
    choice.setAttribute("role", "radio");
    return choice;
  }

  /** @param {Side} side */
  #choose(side) {
    this.#side = side;
    this.#draw();
  }
}

/** @param {Side} side @returns {Side} */
const otherThan = (side) => (side === "caller" ? "agent" : "caller");

/** @param {string} title @param {HTMLElement[]} more */
function headed(title, ...more) {
  const heading = made("h2", "", title);
  heading.append(...more);
  return heading;
}
