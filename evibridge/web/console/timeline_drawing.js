/** Where the timeline of a call draws what: seconds of the call become device pixels. Pure. */

/** @typedef {import("./types").Timeline} Timeline */
/** @typedef {import("./types").Span} Span */
/** @typedef {{fromS: number, toS: number}} Shown the seconds of the call that are drawn */
/** @typedef {"caller" | "agent"} Lane an operator speaks in the agent's place */

const NARROW_PX = 560;
const NARROW_S = 36;
/** A call that has just begun does not fill the drawing with its first word. */
const LEAST_S = 15;
const LABEL_STEPS_S = [10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];
const LABEL_APART_PX = 70;
const LEVEL_S = 0.05;
/** Root mean square that fills a lane; speech is far below full scale. */
const FULL = 0.25;
/** Noise of a quiet room is not drawn. */
const QUIET = 0.0008;

/**
 * The whole call; where it has little room, the 36 s that end now or have `aroundS` in their middle.
 *
 * @param {number} nowS
 * @param {number} roomPx width of the call's view
 * @param {number | null} [aroundS]
 * @returns {Shown}
 */
export function shownOf(nowS, roomPx, aroundS = null) {
  const wholeS = Math.max(LEAST_S, nowS);
  if (roomPx > NARROW_PX) return { fromS: 0, toS: wholeS };
  const spanS = Math.min(NARROW_S, wholeS);
  const endS = aroundS === null ? nowS : Math.min(nowS, aroundS + spanS / 2);
  const toS = Math.max(spanS, endS);
  return { fromS: toS - spanS, toS };
}

/**
 * @param {Shown} shown
 * @param {number} width
 * @returns {(atS: number) => number}
 */
export function placesOf({ fromS, toS }, width) {
  return (atS) => Math.round(((atS - fromS) / (toS - fromS)) * width);
}

/**
 * Labels that stand at least 70 px apart.
 *
 * @param {Shown} shown
 * @param {number} widthPx
 */
export function labelsOf(shown, widthPx) {
  const pxPerS = widthPx / (shown.toS - shown.fromS);
  const step = LABEL_STEPS_S.find((s) => s * pxPerS >= LABEL_APART_PX) ?? Infinity;
  const xOf = placesOf(shown, widthPx);
  const labels = [];
  for (let at = Math.ceil(shown.fromS / step) * step; at <= shown.toS; at += step) {
    labels.push({ atS: at, x: xOf(at) });
  }
  return labels;
}

/**
 * Those of the spans that are seen, with their places. What goes on ends now.
 *
 * @template {Span} Of
 * @param {Of[]} spans
 * @param {Shown} shown
 * @param {number} width
 * @param {number} nowS
 * @param {number} [least] width that is drawn at least
 * @returns {{of: Of, x: number, width: number}[]}
 */
export function blocksOf(spans, shown, width, nowS, least = 1) {
  const xOf = placesOf(shown, width);
  const blocks = [];
  for (const of of spans) {
    const x = xOf(of.fromS);
    const end = Math.max(x + least, xOf(of.toS ?? nowS));
    if (end > 0 && x < width) blocks.push({ of, x, width: end - x });
  }
  return blocks;
}

/** @param {{who: string}} turn @returns {Lane} */
export const laneOf = (turn) => (turn.who === "caller" ? "caller" : "agent");

/**
 * Bars of one turn's loudness, each the loudest of the time that it covers. They stand on a grid that is
 * fixed to the call, so that a bar covers the same levels while the drawing moves.
 *
 * @param {number[]} levels one for each 50 ms
 * @param {number} levelsFromS
 * @param {{fromS: number, toS: number}} span
 * @param {Shown} shown
 * @param {number} width
 * @param {number} step from bar to bar
 * @returns {{x: number, atS: number, height: number}[]} heights from 0 to 1
 */
export function barsOf(levels, levelsFromS, span, shown, width, step) {
  const stepS = (step * (shown.toS - shown.fromS)) / width;
  const xOf = placesOf(shown, width);
  const untilS = Math.min(span.toS, shown.toS);
  const bars = [];
  for (let k = Math.ceil(Math.max(span.fromS, shown.fromS) / stepS); k * stepS < untilS; k += 1) {
    const height = heightOf(levels, (k * stepS - levelsFromS) / LEVEL_S, stepS / LEVEL_S);
    if (height) bars.push({ x: xOf(k * stepS), atS: k * stepS, height });
  }
  return bars;
}

/** @param {number[]} levels @param {number} from @param {number} count */
function heightOf(levels, from, count) {
  const until = Math.min(levels.length, Math.max(Math.floor(from) + 1, Math.floor(from + count)));
  let loudest = 0;
  for (let at = Math.max(0, Math.floor(from)); at < until; at += 1) {
    if (levels[at] > loudest) loudest = levels[at];
  }
  return loudest < QUIET ? 0 : Math.min(1, Math.sqrt(loudest / FULL));
}

/**
 * The turn of a lane that is drawn at a time; of two, the later one.
 *
 * @param {Timeline["turns"]} turns
 * @param {Lane} lane
 * @param {number} atS
 * @param {number} nowS
 */
export function turnAt(turns, lane, atS, nowS) {
  const isThere = (/** @type {Timeline["turns"][number]} */ turn) =>
    laneOf(turn) === lane && turn.fromS <= atS && atS <= (turn.toS ?? nowS);
  return turns.filter(isThere).at(-1) ?? null;
}

/**
 * What is drawn, in a sentence.
 *
 * @param {Timeline} timeline
 */
export function timelineWords({ turns, tools, gaps, interruptions }) {
  const by = (/** @type {string} */ who) => turns.filter((turn) => turn.who === who).length;
  const parts = [`${count(by("agent"), "turn")} by the agent`, `${by("caller")} by the caller`];
  if (by("operator")) parts.push(`${by("operator")} by an operator`);
  if (interruptions.length) parts.push(count(interruptions.length, "interruption"));
  if (tools.length) parts.push(count(tools.length, "tool call"));
  const reconnects = gaps.filter((gap) => /reconnect/i.test(gap.why)).length;
  if (reconnects) parts.push(count(reconnects, "reconnect"));
  if (gaps.length > reconnects) parts.push(count(gaps.length - reconnects, "hold"));
  return `Timeline: ${parts.join(", ")}`;
}

/** @param {number} many @param {string} thing */
const count = (many, thing) => `${many} ${thing}${many === 1 ? "" : "s"}`;
