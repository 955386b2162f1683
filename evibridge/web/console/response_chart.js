/** How long the caller waited for each of the last answers: bars beside the goal. */

import { made } from "../shared/elements.js";
import { GOAL_MS, lengthOf } from "./words.js";

/** @typedef {import("./types").Figures["responses"]} Responses */

const SHOWN = 12;
/** So many words stand side by side; of more, every second time is written, and values without their unit. */
const TIMES = 6;
const TOP_MS = 1600;
/** From here on a value with its tenths is wider than its bar. */
const WIDE_MS = 9950;

/**
 * Bars of the last answers. One over the goal has its value above it; a taller one than the chart is cut.
 *
 * @param {Responses} responses
 */
export function responseBars(responses) {
  const shown = responses.slice(-SHOWN);
  const isCrowded = shown.length > TIMES;
  const every = isCrowded ? 2 : 1;
  const unit = isCrowded ? "" : " s";
  return shown.map(({ atS, ms }, index) => ({
    ms: Math.min(TOP_MS, ms),
    isSlow: ms > GOAL_MS,
    value: ms > GOAL_MS ? `${(ms / 1000).toFixed(ms < WIDE_MS ? 1 : 0)}${unit}` : "",
    time: (shown.length - 1 - index) % every ? "" : lengthOf(atS),
    title: `${Math.round(ms)} ms`,
  }));
}

/** @param {Responses} responses */
export function responseChartWords(responses) {
  const told = responses.slice(-SHOWN).map(({ ms }) => Math.round(ms));
  return `Response per turn in milliseconds: ${told.join(", ")}. Goal ${GOAL_MS}.`;
}

export class ResponseChart {
  element = made("div", "lats");
  #goal = made("span", "goal");

  constructor() {
    this.element.setAttribute("role", "img");
    this.#goal.append(made("span", "", `goal ${GOAL_MS / 1000}\u00a0s`));
  }

  /** @param {Responses} responses */
  draw(responses) {
    const words = responseChartWords(responses);
    if (this.element.ariaLabel === words) return;
    this.element.ariaLabel = words;
    this.element.replaceChildren(this.#goal, ...responseBars(responses).map(barOf));
  }
}

/** @param {ReturnType<typeof responseBars>[number]} bar */
function barOf({ ms, isSlow, value, time, title }) {
  const bar = made("i", isSlow ? "slow" : "");
  bar.style.setProperty("--ms", String(ms));
  bar.title = title;
  if (value) bar.append(made("em", "", value));
  if (time) bar.append(made("u", "", time));
  return bar;
}
