/** The call on one axis of time: the caller's lane, the agent's lane, the tools below them. */

import { made, put } from "../shared/elements.js";
import { paced } from "./paced.js";
import * as drawing from "./timeline_drawing.js";
import { HEIGHT_PX, isUpperLane, Strip } from "./timeline_strip.js";
import { lengthOf } from "./words.js";

/** @typedef {import("./call_story.js").CallStory} CallStory */

const EVERY_MS = 250;
const DARK = "(prefers-color-scheme: dark)";
const FORCED = "(forced-colors: active)";
const COLOURS = ["ink", "ink-3", "agent", "agent-tint", "sunken", "line", "edge", "need", "bad"];

export class TimelineView {
  #figure = made("figure", "tl");
  #plot = made("div", "plot");
  #canvas = made("canvas");
  #hands;
  /** @type {CallStory | null} */
  #story = null;
  #now = () => 0;
  /** @type {number | null} */
  #marked = null;
  /** @type {number | null} */
  #position = null;
  /** @type {number | null} */
  #pointed = null;
  #roomPx = 0;
  #widthPx = 0;
  /** @type {Record<string, string>} */
  #colours = {};
  #isForced = false;
  /** Draw it anew, four times a second at most. */
  update = paced(() => this.#draw(), EVERY_MS);

  /**
   * @param {HTMLElement} parent gets the figure
   * @param {{onMark(rowKey: number | null, isPressed?: boolean): void, onSeek(atS: number): void}} hands
   */
  constructor(parent, hands) {
    this.#hands = hands;
    const names = made("div", "names");
    names.append(made("span", "", "Caller"), made("span", "a", "Agent"), made("span", "", "Tools"));
    names.ariaHidden = "true";
    const lanes = made("div", "lanes");
    this.#plot.append(this.#canvas);
    lanes.append(names, this.#plot);
    this.#figure.setAttribute("role", "img");
    this.#figure.append(lanes);
    parent.append(this.#figure);
    this.#watchSize();
    this.#watchColours();
    this.#canvas.addEventListener("pointermove", (event) => this.#point(this.#turnAt(event)));
    this.#canvas.addEventListener("pointerleave", () => this.#point(null));
    this.#canvas.addEventListener("click", (event) => this.#press(event));
  }

  /**
   * @param {CallStory} story
   * @param {() => number} now seconds since the call began; of an ended call how long it was
   */
  show(story, now) {
    this.#story = story;
    this.#now = now;
    this.#position = this.#marked = this.#pointed = null;
    this.update();
  }

  /** @param {number | null} rowKey */
  mark(rowKey) {
    if (this.#marked === rowKey) return;
    this.#marked = rowKey;
    this.update();
  }

  /** @param {number | null} atS where the recording plays */
  place(atS) {
    this.#position = atS;
    this.update();
  }

  #watchSize() {
    const sizes = new ResizeObserver((entries) => {
      for (const { target, contentRect, borderBoxSize } of entries) {
        if (target === this.#canvas) this.#widthPx = contentRect.width;
        else this.#roomPx = borderBoxSize[0].inlineSize;
      }
      this.update();
    });
    sizes.observe(this.#figure);
    sizes.observe(this.#canvas);
  }

  #watchColours() {
    const forget = () => {
      this.#colours = {};
      this.update();
    };
    for (const query of [DARK, FORCED]) matchMedia(query).addEventListener("change", forget);
    new MutationObserver(forget).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  }

  /** Custom properties hold `light-dark()`, which only a colour of an element resolves. */
  #readColours() {
    const { style } = this.#canvas;
    this.#isForced = matchMedia(FORCED).matches;
    for (const name of COLOURS) {
      style.color = this.#isForced ? systemColour(name) : `var(--${name})`;
      this.#colours[name] = getComputedStyle(this.#canvas).color;
    }
  }

  #shown() {
    return drawing.shownOf(this.#now(), this.#roomPx, this.#position);
  }

  /** @param {MouseEvent} event */
  #secondsAt(event) {
    const { fromS, toS } = this.#shown();
    return fromS + (Math.max(0, event.offsetX) / (this.#widthPx || 1)) * (toS - fromS);
  }

  /** @param {MouseEvent} event */
  #turnAt(event) {
    if (!this.#story) return null;
    const lane = isUpperLane(event.offsetY) ? "caller" : "agent";
    const atS = this.#secondsAt(event);
    return drawing.turnAt(this.#story.timeline.turns, lane, atS, this.#now())?.rowKey ?? null;
  }

  /** @param {number | null} rowKey */
  #point(rowKey) {
    if (this.#pointed === rowKey) return;
    this.#pointed = rowKey;
    this.#hands.onMark(rowKey);
  }

  /** @param {MouseEvent} event */
  #press(event) {
    this.#hands.onMark(this.#turnAt(event), true);
    if (this.#story?.isOver) this.#hands.onSeek(Math.min(this.#now(), this.#secondsAt(event)));
  }

  #draw() {
    const context = this.#canvas.getContext("2d");
    if (!this.#story || !context || !this.#widthPx) return;
    const { timeline, isOver } = this.#story;
    if (!this.#colours.ink) this.#readColours();
    this.#figure.classList.toggle("seeks", isOver);
    const words = drawing.timelineWords(timeline);
    if (this.#figure.ariaLabel !== words) this.#figure.ariaLabel = words;
    const ratio = devicePixelRatio;
    const width = Math.round(this.#widthPx * ratio);
    const height = Math.round(HEIGHT_PX * ratio);
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      Object.assign(this.#canvas, { width, height });
    }
    context.clearRect(0, 0, width, height);
    const shown = this.#shown();
    const labels = drawing.labelsOf(shown, this.#widthPx);
    this.#putLabels(labels);
    const nowS = this.#now();
    const strip = new Strip(context, this.#colours, {
      ratio, width, shown, nowS, marked: this.#marked, isForced: this.#isForced,
    });
    strip.drawGrid(labels);
    strip.drawTurns(timeline);
    strip.drawGaps(timeline);
    strip.drawTools(timeline);
    strip.drawNow(isOver ? this.#position : nowS);
  }

  /** @param {{atS: number, x: number}[]} labels */
  #putLabels(labels) {
    while (this.#plot.childElementCount <= labels.length) this.#plot.append(made("span", "x"));
    const [, ...spans] = /** @type {HTMLCollectionOf<HTMLElement>} */ (this.#plot.children);
    spans.forEach((span, index) => {
      const label = labels[index];
      span.hidden = !label;
      if (!label) return;
      put(span, lengthOf(label.atS));
      span.classList.toggle("zero", label.x < 1);
      span.style.setProperty("left", `${label.x}px`);
    });
  }
}

/** @param {string} name of a colour, where the system forces its own */
function systemColour(name) {
  if (/tint|sunken/.test(name)) return "Canvas";
  return name === "agent" ? "LinkText" : "CanvasText";
}
