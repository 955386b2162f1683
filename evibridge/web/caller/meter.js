/** The last twelve seconds on a canvas: the caller above the line, the agent below it. */

import { LevelBars, SAMPLE_MS } from "./level_bars.js";

const BAR_PX = 2;
const STEP_PX = 4;
const GAP_PX = 1.5;
const LEAST_PX = 2;
const CALM_MS = 250;
const MUTED = 0.3;

/** @typedef {() => {caller: number, agent: number}} Source levels of now, 0 to 1 */

export class Meter {
  #ribbon;
  #canvas;
  #isSolo;
  #bars;
  /** @type {Source | null} */
  #source = null;
  #timer;
  #drawnMs;
  #isMuted;
  #calm;
  #colours;

  /**
   * Its colours are read from the lanes' names beside it, and from the border around it.
   * @param {HTMLElement} ribbon holds a canvas, and elements `.t` and `.b`
   * @param {boolean} isSolo only the caller, on the line
   */
  constructor(ribbon, isSolo) {
    this.#ribbon = ribbon;
    this.#canvas = /** @type {HTMLCanvasElement} */ (ribbon.querySelector("canvas"));
    this.#isSolo = isSolo;
    this.#bars = new LevelBars();
    this.#timer = 0;
    this.#drawnMs = 0;
    this.#isMuted = false;
    this.#calm = matchMedia("(prefers-reduced-motion: reduce)");
    this.#colours = { caller: "", agent: "", line: "" };
    for (const query of ["(prefers-color-scheme: dark)", "(forced-colors: active)"]) {
      matchMedia(query).addEventListener("change", () => this.#readColours());
    }
    new ResizeObserver(() => this.#fit()).observe(this.#canvas);
    this.#readColours();
  }

  /**
   * Show levels from now on.
   * @param {Source} source
   */
  start(source) {
    this.#source = source;
    this.#bars.clear();
    clearInterval(this.#timer);
    this.#timer = window.setInterval(() => this.#sample(performance.now()), SAMPLE_MS);
  }

  stop() {
    clearInterval(this.#timer);
    this.#source = null;
    this.#bars.clear();
    this.#draw();
  }

  /** @param {boolean} isMuted the caller's lane is faint */
  mute(isMuted) {
    this.#isMuted = isMuted;
  }

  /** @param {number} nowMs */
  #sample(nowMs) {
    if (document.hidden || !this.#source) return;
    const { caller, agent } = this.#source();
    this.#bars.add(nowMs, caller, agent);
    if (this.#calm.matches && nowMs - this.#drawnMs < CALM_MS) return;
    this.#drawnMs = nowMs;
    this.#draw();
  }

  #fit() {
    const { clientWidth, clientHeight } = this.#canvas;
    const width = Math.round(clientWidth * devicePixelRatio);
    const height = Math.round(clientHeight * devicePixelRatio);
    if (this.#canvas.width !== width) this.#canvas.width = width;
    if (this.#canvas.height !== height) this.#canvas.height = height;
    this.#draw();
  }

  #readColours() {
    const colourOf = (/** @type {string} */ lane) =>
      getComputedStyle(this.#ribbon.querySelector(lane) ?? this.#ribbon).color;
    const line = getComputedStyle(this.#ribbon).borderTopColor;
    this.#colours = { caller: colourOf(".t"), agent: colourOf(".b"), line };
    this.#draw();
  }

  #draw() {
    const { width, height } = this.#canvas;
    const context = this.#canvas.getContext("2d");
    if (!context || !width || !height) return;
    const middle = this.#isSolo ? height - 1 : Math.round(height / 2);
    context.clearRect(0, 0, width, height);
    context.fillStyle = this.#colours.line;
    context.fillRect(0, middle, width, Math.max(1, Math.round(devicePixelRatio)));
    context.fillStyle = this.#colours.caller;
    context.globalAlpha = this.#isMuted ? MUTED : 1;
    this.#drawLane(context, "caller", middle, -1);
    context.globalAlpha = 1;
    if (this.#isSolo) return;
    context.fillStyle = this.#colours.agent;
    this.#drawLane(context, "agent", middle, 1);
  }

  /**
   * @param {CanvasRenderingContext2D} context
   * @param {"caller"|"agent"} side
   * @param {number} middle
   * @param {-1|1} direction upwards or downwards
   */
  #drawLane(context, side, middle, direction) {
    const ratio = devicePixelRatio;
    const step = Math.max(2, Math.round(STEP_PX * ratio));
    const bar = Math.max(1, Math.round(BAR_PX * ratio));
    const gap = Math.round(GAP_PX * ratio);
    const room = (this.#isSolo ? middle : this.#canvas.height / 2) - gap;
    const count = Math.floor(this.#canvas.width / step);
    const left = this.#canvas.width - count * step + (step - bar);
    this.#bars.heights(side, count).forEach((height, index) => {
      if (!height) return;
      const long = Math.max(Math.round(LEAST_PX * ratio), Math.round(height * room));
      const top = direction < 0 ? middle - gap - long : middle + gap;
      context.fillRect(left + index * step, top, bar, long);
    });
  }
}
