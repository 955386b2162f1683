/** Draws the timeline of a call on a canvas. Its lengths are device pixels, but for those named `..._PX`. */

import { barsOf, blocksOf, laneOf, placesOf } from "./timeline_drawing.js";

/** @typedef {import("./types").Timeline} Timeline */

const LANE_PX = 34;
/** The notch of an interruption stands out above the lanes. */
const ABOVE_PX = 4;
const MIDDLE_PX = ABOVE_PX + LANE_PX;
const TOOLS_PX = MIDDLE_PX + LANE_PX + 3;
const TOOL_PX = 8;
const FAINT = 0.34;

export const HEIGHT_PX = TOOLS_PX + TOOL_PX + 3;

/** @param {number} yPx */
export const isUpperLane = (yPx) => yPx < MIDDLE_PX;

/**
 * @typedef {object} Frame
 * @property {number} ratio device pixels of a CSS pixel
 * @property {number} width
 * @property {import("./timeline_drawing.js").Shown} shown
 * @property {number} nowS
 * @property {number | null} marked row whose turn is marked
 * @property {boolean} isForced colours are those of the system, which has no tints
 */

/** One drawing of one frame. */
export class Strip {
  #pen;
  #colours;
  #frame;
  #line;
  #xOf;

  /**
   * @param {CanvasRenderingContext2D} pen
   * @param {Record<string, string>} colours
   * @param {Frame} frame
   */
  constructor(pen, colours, frame) {
    this.#pen = pen;
    this.#colours = colours;
    this.#frame = frame;
    this.#line = this.#px(1);
    this.#xOf = placesOf(frame.shown, frame.width);
    pen.lineWidth = this.#line;
  }

  /** @param {{atS: number}[]} labels */
  drawGrid(labels) {
    this.#take("line");
    for (const { atS } of labels) if (atS) this.#upright(atS, ABOVE_PX, 2 * LANE_PX);
    this.#pen.fillRect(0, this.#px(MIDDLE_PX), this.#frame.width, this.#line);
  }

  /** @param {Timeline} timeline */
  drawTurns(timeline) {
    const tall = this.#px(LANE_PX - 1);
    for (const { of: turn, x, width } of this.#blocks(timeline.turns)) {
      const heard = Math.min(width, Math.max(0, this.#xOf(turn.heardToS ?? Infinity) - x));
      const isUpper = laneOf(turn) === "caller";
      const isAgents = turn.who === "agent";
      const top = isUpper ? this.#px(ABOVE_PX) : this.#px(MIDDLE_PX) + this.#line;
      this.#take(isAgents ? "agent-tint" : "sunken");
      this.#pen.fillRect(x, top, heard, tall);
      this.#take(isAgents ? "agent" : "ink");
      if (heard < width) this.#outline(x + heard, top, width - heard, tall, [this.#px(3)]);
      const isMarked = turn.rowKey === this.#frame.marked;
      if (this.#frame.isForced) this.#frameOf(x, top, heard, tall, isMarked);
      else if (isMarked) this.#outline(x, top, width, tall);
      if (turn.who !== "operator") this.#drawBars(timeline, turn, isUpper);
    }
    this.#take("ink");
    for (const atS of timeline.interruptions) this.#notch(atS);
  }

  /**
   * A turn without a tint.
   *
   * @param {number} x
   * @param {number} top
   * @param {number} width
   * @param {number} tall
   * @param {boolean} isMarked
   */
  #frameOf(x, top, width, tall, isMarked) {
    this.#outline(x, top, width, tall);
    if (isMarked) this.#pen.fillRect(x, top, width, this.#px(4));
  }

  /** @param {Timeline} timeline @param {Timeline["turns"][number]} turn @param {boolean} isUpper */
  #drawBars({ callerLevels, agentLevels, levelsFromS }, turn, isUpper) {
    const levels = isUpper ? callerLevels : agentLevels;
    const { shown, width, nowS } = this.#frame;
    const span = { fromS: turn.fromS, toS: turn.toS ?? nowS };
    const thick = this.#px(2);
    const middle = this.#px(MIDDLE_PX);
    for (const bar of barsOf(levels, levelsFromS, span, shown, width, 2 * thick)) {
      const tall = Math.max(thick, Math.round(bar.height * this.#px(LANE_PX - 3)));
      this.#pen.globalAlpha = bar.atS < (turn.heardToS ?? Infinity) ? 1 : FAINT;
      this.#pen.fillRect(bar.x, isUpper ? middle - tall : middle + this.#line, thick, tall);
    }
    this.#pen.globalAlpha = 1;
  }

  /** @param {Timeline} timeline */
  drawGaps({ gaps }) {
    this.#take("edge");
    for (const { x, width } of this.#blocks(gaps)) {
      this.#hatch(x, this.#px(ABOVE_PX), width, this.#px(2 * LANE_PX));
    }
  }

  /** @param {Timeline} timeline */
  drawTools({ tools }) {
    const top = this.#px(TOOLS_PX);
    const tall = this.#px(TOOL_PX);
    for (const { of: tool, x, width } of this.#blocks(tools)) {
      this.#take(tool.isWaiting ? "need" : tool.isFailed ? "bad" : "ink-3");
      if (tool.isWaiting) {
        this.#pen.lineWidth = this.#px(2);
        this.#hatch(x, top, width, tall);
        this.#pen.lineWidth = this.#line;
        this.#outline(x, top, width, tall);
      } else this.#pen.fillRect(x, top, width, tall);
    }
  }

  /** @param {number | null} atS */
  drawNow(atS) {
    if (atS === null) return;
    this.#take("ink");
    const dash = this.#px(3);
    for (let y = 0; y < this.#px(HEIGHT_PX); y += 2 * dash) {
      this.#pen.fillRect(Math.min(this.#frame.width - this.#line, this.#xOf(atS)), y, this.#line, dash);
    }
  }

  /** @param {number} css */
  #px(css) {
    return Math.max(1, Math.round(css * this.#frame.ratio));
  }

  /** @param {string} name of the colour */
  #take(name) {
    this.#pen.fillStyle = this.#pen.strokeStyle = this.#colours[name];
  }

  /** @template {import("./types").Span} Of @param {Of[]} spans */
  #blocks(spans) {
    const { shown, width, nowS } = this.#frame;
    return blocksOf(spans, shown, width, nowS, this.#px(3));
  }

  /** @param {number} atS @param {number} topPx @param {number} tallPx */
  #upright(atS, topPx, tallPx) {
    this.#pen.fillRect(this.#xOf(atS), this.#px(topPx), this.#line, this.#px(tallPx));
  }

  /** @param {number} x @param {number} y @param {number} width @param {number} tall @param {number[]} dash */
  #outline(x, y, width, tall, dash = []) {
    const line = this.#line;
    this.#pen.setLineDash(dash);
    this.#pen.strokeRect(x + line / 2, y + line / 2, width - line, tall - line);
    this.#pen.setLineDash([]);
  }

  /** @param {number} x @param {number} y @param {number} width @param {number} tall */
  #hatch(x, y, width, tall) {
    const pen = this.#pen;
    const step = this.#px(6);
    pen.save();
    pen.beginPath();
    pen.rect(x, y, width, tall);
    pen.clip();
    pen.beginPath();
    for (let at = Math.floor((Math.max(0, x) - tall) / step) * step; at < x + width; at += step) {
      pen.moveTo(at, y + tall);
      pen.lineTo(at + tall / 2, y);
    }
    pen.stroke();
    pen.restore();
  }

  /** @param {number} atS when the caller has cut the agent short */
  #notch(atS) {
    const x = this.#xOf(atS);
    this.#upright(atS, 0, TOOLS_PX - 1);
    for (let y = 0; y < this.#px(ABOVE_PX); y += this.#line) {
      const half = this.#px(ABOVE_PX) - y;
      this.#pen.fillRect(x - half, y, 2 * half + this.#line, this.#line);
    }
  }
}
