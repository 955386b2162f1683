/** Who spoke when, on a canvas: the caller above the line, the agent below it. */

export const MINUTE_S = 60;
const FORCED = "(forced-colors: active)";
const GAP_PX = 1.5;
/** How much a bar takes of its second, and a block of its lane. */
const BAR = 0.7;

/** @typedef {[x: number, y: number, width: number, height: number]} Bar in device pixels */
/** @typedef {{caller: Bar[], agent: Bar[]}} Lanes */
/** @typedef {[from: number, to: number, share: number]} Span in seconds; of its lane it takes this share */
/** @typedef {{caller: Span[], agent: Span[]}} Voices */

/**
 * The last minute: a bar for each second in which somebody spoke.
 *
 * @param {{caller: number[], agent: number[]}} activity how much each spoke in each second, 0 to 1
 * @returns {Voices}
 */
export function minuteOf({ caller, agent }) {
  const spansOf = (/** @type {number[]} */ shares) =>
    shares.map((share, second) => /** @type {Span} */ ([second, second + BAR, share]));
  return { caller: spansOf(caller), agent: spansOf(agent) };
}

/**
 * A whole call: a block for each time that somebody spoke.
 *
 * @param {import("./types").Ended["voices"]} voices
 * @returns {Voices}
 */
export function blocksOf({ caller, agent }) {
  const spansOf = (/** @type {[number, number][]} */ times) =>
    times.map(([from, to]) => /** @type {Span} */ ([from, to, BAR]));
  return { caller: spansOf(caller), agent: spansOf(agent) };
}

/**
 * Where the bars stand; none reaches out of the strip, or is too short to be seen.
 *
 * @param {Voices} voices
 * @param {number} seconds that the strip shows
 * @param {number} width of the strip in device pixels
 * @param {number} height
 * @param {number} ratio device pixels of a CSS pixel
 * @returns {Lanes}
 */
export function lanesOf(voices, seconds, width, height, ratio) {
  const middle = Math.round(height / 2);
  const gap = Math.round(GAP_PX * ratio);
  const room = height - middle - 1 - gap;
  const scale = width / Math.max(1, seconds);
  const barsOf = (/** @type {Span[]} */ spans, /** @type {boolean} */ isAbove) =>
    spans.filter(([, , share]) => share > 0).map(([from, to, share]) => {
      const long = Math.max(1, Math.round(Math.min(1, share) * room));
      const x = Math.min(width - 1, Math.round(from * scale));
      const wide = Math.max(1, Math.min(width, Math.round(to * scale)) - x);
      return /** @type {Bar} */ ([x, isAbove ? middle - gap - long : middle + gap, wide, long]);
    });
  return { caller: barsOf(voices.caller, true), agent: barsOf(voices.agent, false) };
}

/** Canvases that are drawn as long as they can be seen. */
export class Strips {
  /** @type {Map<Element, {voices: () => Voices, seconds: number, width: number, height: number}>} */
  #strips = new Map();
  #sizes = new ResizeObserver((entries) => this.#resized(entries));
  /** @type {string[] | null} */
  #colours = null;

  constructor() {
    const changed = () => {
      this.#colours = null;
      this.draw();
    };
    for (const query of ["(prefers-color-scheme: dark)", FORCED]) {
      matchMedia(query).addEventListener("change", changed);
    }
    // It is told when the page is zoomed as well.
    addEventListener("resize", () => this.draw());
    new MutationObserver(changed).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  }

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {number} seconds
   * @param {() => Voices} voices
   */
  add(canvas, seconds, voices) {
    this.#strips.set(canvas, { voices, seconds, width: 0, height: 0 });
    this.#sizes.observe(canvas);
  }

  /** Draw all that can be seen, and let go of those that have left the document. */
  draw() {
    for (const canvas of this.#strips.keys()) {
      if (canvas.isConnected) this.#draw(canvas);
      else if (this.#strips.delete(canvas)) this.#sizes.unobserve(canvas);
    }
  }

  /** @param {ResizeObserverEntry[]} entries */
  #resized(entries) {
    for (const { target, contentRect } of entries) {
      const strip = this.#strips.get(target);
      if (!strip) continue;
      Object.assign(strip, { width: contentRect.width, height: contentRect.height });
      this.#draw(target);
    }
  }

  /** @param {Element} element */
  #draw(element) {
    const canvas = /** @type {HTMLCanvasElement} */ (element);
    const strip = this.#strips.get(canvas);
    const context = strip?.width ? canvas.getContext("2d") : null;
    if (!strip || !context) return;
    const ratio = devicePixelRatio;
    const width = Math.round(strip.width * ratio);
    const height = Math.round(strip.height * ratio);
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const lanes = lanesOf(strip.voices(), strip.seconds, width, height, ratio);
    const colours = (this.#colours ??= readColours());
    const line = [[0, Math.round(height / 2), width, Math.max(1, Math.round(ratio))]];
    context.clearRect(0, 0, width, height);
    [line, lanes.caller, lanes.agent].forEach((bars, index) => {
      context.fillStyle = colours[index];
      for (const [x, y, wide, long] of bars) context.fillRect(x, y, wide, long);
    });
  }
}

/** Colours of line, caller and agent, as the theme of now has them. */
function readColours() {
  if (matchMedia(FORCED).matches) return ["GrayText", "CanvasText", "LinkText"];
  const probe = document.createElement("i");
  document.body.append(probe);
  const style = getComputedStyle(probe);
  const colours = ["line", "ink", "agent"].map((name) => {
    probe.style.color = `var(--${name})`;
    return style.color;
  });
  probe.remove();
  return colours;
}
