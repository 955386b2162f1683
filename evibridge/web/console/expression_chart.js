/** How the voice of one side sounded over the call: a line for each of its five strongest means. */

import { made, put } from "../shared/elements.js";
import { lengthOf } from "./words.js";

/** @typedef {import("./types").ExpressionSeries} ExpressionSeries */

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 150;
const HEIGHT = 30;
const BASE = HEIGHT - 0.5;
/** The same for all, so that lines can be compared; scores above are cut. */
const FULL = 0.8;
/** A change that is worth a word. */
const NOTED = 0.03;

/**
 * The line of a series as a path, and the area below it. Of points in the same place the strongest is drawn.
 *
 * @param {ExpressionSeries["points"]} points in the order of their times
 * @param {number} lengthS
 */
export function pathsOf(points, lengthS) {
  /** @type {Map<number, number>} */
  const strongest = new Map();
  for (const { atS, score } of points) {
    const x = Math.min(WIDTH, Math.round((atS / (lengthS || 1)) * WIDTH));
    strongest.set(x, Math.max(strongest.get(x) ?? 0, score));
  }
  const corners = [...strongest].map(([x, score]) => [x, yOf(score)]);
  if (!corners.length) return { line: "", area: "" };
  const [first, last] = [corners[0][0], corners[corners.length - 1][0]];
  // One point alone would not be seen.
  if (corners.length === 1) corners.push([first + 2, corners[0][1]]);
  const line = `M${corners.map((corner) => corner.join(" ")).join("L")}`;
  return { line, area: `${line}L${Math.max(last, first + 2)} ${BASE}L${first} ${BASE}Z` };
}

/** @param {number} score */
function yOf(score) {
  return Math.round(BASE * (1 - Math.min(1, Math.max(0, score) / FULL)) * 10) / 10;
}

/**
 * What the lines show, in a sentence or two.
 *
 * @param {ExpressionSeries[]} series
 */
export function expressionWords(series) {
  const [now] = [...series].sort((one, other) => other.latest - one.latest);
  const [before, latest] = now.points.slice(-2).map((point) => point.score);
  const change = (latest ?? before) - before;
  const course = Math.abs(change) < NOTED ? "steady" : change > 0 ? "rising" : "falling";
  const points = series.flatMap(({ name, points }) => points.map((point) => ({ name, ...point })));
  const peak = points.reduce((most, point) => (point.score > most.score ? point : most));
  const peaked = `${peak.name} peaked at ${peak.score.toFixed(2)} at ${lengthOf(peak.atS)}.`;
  return `Strongest now: ${now.name} ${now.latest.toFixed(2)}, ${course}. ${peaked}`;
}

export class ExpressionChart {
  element = made("div", "ex");
  /** @type {{name: Element, area: Element, line: Element, value: Element, all: Element[]}[]} */
  #lines = [];
  #end = made("span");

  constructor() {
    this.element.setAttribute("role", "img");
    const axis = made("span", "ax");
    axis.append(made("span", "", lengthOf(0)), this.#end);
    this.element.append(axis);
  }

  /** @param {ExpressionSeries[]} series @param {number} lengthS */
  draw(series, lengthS) {
    this.element.ariaLabel = expressionWords(series);
    put(this.#end, lengthOf(lengthS));
    while (this.#lines.length > series.length) this.#lines.pop()?.all.forEach((part) => part.remove());
    series.forEach(({ name, latest, points }, index) => {
      const line = this.#lines[index] ?? this.#add();
      const paths = pathsOf(points, lengthS);
      put(line.name, name);
      put(line.value, latest.toFixed(2));
      line.area.setAttribute("d", paths.area);
      line.line.setAttribute("d", paths.line);
    });
  }

  #add() {
    const name = made("span", "nm");
    const value = made("b");
    const drawing = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none" });
    const area = drawn("path", { class: "ar" });
    const line = drawn("path", {});
    drawing.append(area, drawn("line", { x1: "0", x2: `${WIDTH}`, y1: `${BASE}`, y2: `${BASE}` }), line);
    const added = { name, area, line, value, all: [name, drawing, value] };
    this.element.lastChild?.before(...added.all);
    this.#lines.push(added);
    return added;
  }
}

/** @param {string} tag @param {Record<string, string>} attributes */
function drawn(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}
