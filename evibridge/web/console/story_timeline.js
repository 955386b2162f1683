/** When each side of a call spoke, was heard, and waited: what the strip shows. Pure. */

import { bound } from "./story_rows.js";

/** @typedef {import("./types").Timeline} Timeline */
/** @typedef {Timeline["turns"][number]} Turn */
/** @typedef {Timeline["tools"][number]} ToolSpan */
/** @typedef {import("./types").Who} Who */
/** @typedef {"hold" | "chat" | "caller"} GapKind */
/**
 * @typedef {object} Voice what is known of a turn's sound
 * @property {Turn} turn
 * @property {number} saidS it cannot be heard before
 * @property {boolean} isSure whether its beginning was told
 * @property {number} heardS
 * @property {number} unheardS
 */

const LEVEL_S = 0.05;
/** Two hours; then a minute is dropped. */
export const MAX_LEVELS = 144_000;
const MINUTE_OF_LEVELS = 1200;
/** A hole so short comes from clocks, and is filled. */
const FILLED_LEVELS = 2;
const ROUNDING_S = 0.05;
const GAP_WORDS = { hold: "On hold", chat: "Reconnecting", caller: "Reconnecting" };

/** @implements {Timeline} */
export class StoryTimeline {
  levelsFromS = 0;
  /** @type {number[]} */
  callerLevels = [];
  /** @type {number[]} */
  agentLevels = [];
  /** @type {Turn[]} */
  turns = [];
  /** @type {ToolSpan[]} */
  tools = [];
  /** @type {Timeline["gaps"]} */
  gaps = [];
  /** @type {number[]} */
  interruptions = [];
  /** @type {Map<number, Voice>} by the row's key */
  #voices = new Map();
  /** @type {Map<string, ToolSpan>} */
  #toolSpans = new Map();
  /** @type {Map<GapKind, Timeline["gaps"][number]>} */
  #openGaps = new Map();
  /** @type {Voice | null} */
  #newest = null;
  #playsUntilS = 0;

  /** Forget everything but how loud it was. */
  clear() {
    [this.turns, this.tools, this.gaps, this.interruptions] = [[], [], [], []];
    for (const known of [this.#voices, this.#toolSpans, this.#openGaps]) known.clear();
    this.#newest = null;
    this.#playsUntilS = 0;
  }

  /** @param {StoryTimeline} before of the same call: how loud it was */
  sound({ levelsFromS, callerLevels, agentLevels }) {
    Object.assign(this, { levelsFromS, callerLevels, agentLevels });
  }

  /**
   * A person is speaking, or has spoken.
   *
   * @param {Who} who @param {number} rowKey @param {number} atS when that was told
   * @param {{isInterim: boolean, lengthS: number}} how `lengthS` counts if nothing was told before
   */
  spoke(who, rowKey, atS, { isInterim, lengthS }) {
    const fromS = isInterim ? atS : Math.max(0, atS - lengthS);
    const { turn } = this.#voices.get(rowKey) ?? this.#begin(who, rowKey, fromS);
    if (!isInterim) turn.toS = Math.max(turn.fromS, atS);
  }

  /**
   * Something is spoken of which nobody will tell when it was heard.
   *
   * @param {Who} who @param {number} rowKey @param {number} atS
   * @param {number} lengthS how long it takes, by its length
   */
  reckoned(who, rowKey, atS, lengthS) {
    const fromS = this.playedAt(atS);
    const { turn } = this.#voices.get(rowKey) ?? this.#begin(who, rowKey, fromS);
    turn.toS = this.#playsUntilS = fromS + lengthS;
  }

  /** @param {number} rowKey @param {number} atS when the agent set out to say it */
  agentBegins(rowKey, atS) {
    const voice = this.#voices.get(rowKey);
    if (voice) {
      voice.turn.toS = voice.turn.heardToS = null;
      voice.unheardS = 0;
    } else this.#newest = this.#begin("agent", rowKey, this.playedAt(atS));
  }

  /** @param {number} atS @returns {number} when what was said then begins to be heard, at the earliest */
  playedAt(atS) {
    return Math.max(atS, this.#playsUntilS);
  }

  /** @param {number} rowKey @param {number} atS when the agent's voice began to be heard */
  agentSounds(rowKey, atS) {
    const voice = this.#voices.get(rowKey);
    if (!voice || voice.isSure || voice.turn.toS !== null) return;
    voice.turn.fromS = atS;
    voice.isSure = true;
  }

  /**
   * A sentence of the agent is over.
   *
   * @param {number} rowKey @param {number} atS when it was
   * @param {{heardS: number, sentS: number, isLast: boolean}} what `isLast`: no other one is due
   */
  agentHeard(rowKey, atS, { heardS, sentS, isLast }) {
    const voice = this.#voices.get(rowKey);
    if (!voice) return;
    const { turn } = voice;
    const wasReported = voice.heardS > 0;
    voice.heardS += heardS;
    // Several sentences may be told at once, when the last of them is over.
    const beganS = Math.max(voice.saidS, atS - voice.heardS);
    if (!voice.isSure) turn.fromS = wasReported ? Math.min(turn.fromS, beganS) : beganS;
    const endS = Math.max(turn.fromS, atS);
    if (sentS - heardS > ROUNDING_S) {
      voice.unheardS += sentS - heardS;
      turn.heardToS ??= endS;
    }
    turn.toS = isLast ? (turn.heardToS ?? endS) + voice.unheardS : null;
    this.#playsUntilS = endS;
    if (turn.toS === turn.fromS) this.drop(rowKey);
    const next = this.#newest;
    if (next && next !== voice && next.turn.toS === null && !next.isSure) {
      next.turn.fromS = Math.max(next.turn.fromS, endS);
    }
  }

  /** @param {number} rowKey of a row that has come to nothing */
  drop(rowKey) {
    const voice = this.#voices.get(rowKey);
    if (!voice) return;
    this.#voices.delete(rowKey);
    const place = this.turns.lastIndexOf(voice.turn);
    if (place >= 0) this.turns.splice(place, 1);
  }

  /** @param {string} id @param {string} name @param {number} atS */
  toolBegins(id, name, atS) {
    const span = { name, fromS: atS, toS: null, isWaiting: false, isFailed: false };
    this.tools.push(span);
    this.#toolSpans.set(id, span);
    bound(this.tools);
    bound(this.#toolSpans);
  }

  /** @param {string} id @param {boolean} isWaiting */
  toolWaits(id, isWaiting) {
    const span = this.#toolSpans.get(id);
    if (span) span.isWaiting = isWaiting;
  }

  /** @param {string} id @param {number} atS @param {boolean} isFailed */
  toolEnds(id, atS, isFailed) {
    const span = this.#toolSpans.get(id);
    if (!span) return;
    span.toS ??= Math.max(span.fromS, atS);
    span.isWaiting = false;
    span.isFailed = isFailed;
  }

  /** @param {GapKind} kind @param {number} atS */
  gapBegins(kind, atS) {
    if (this.#openGaps.has(kind)) return;
    const gap = { why: GAP_WORDS[kind], fromS: atS, toS: null };
    this.#openGaps.set(kind, gap);
    this.gaps.push(gap);
    bound(this.gaps);
  }

  /** @param {GapKind} kind @param {number} atS */
  gapEnds(kind, atS) {
    const gap = this.#openGaps.get(kind);
    if (gap) gap.toS = Math.max(gap.fromS, atS);
    this.#openGaps.delete(kind);
  }

  /** @param {number} atS */
  interrupted(atS) {
    this.interruptions.push(atS);
    bound(this.interruptions);
  }

  /** @param {number} atS @param {number} caller @param {number} agent both from 0 to 1 */
  levels(atS, caller, agent) {
    const { callerLevels, agentLevels } = this;
    let place = Math.round((atS - this.levelsFromS) / LEVEL_S);
    if (!callerLevels.length || place - callerLevels.length > MAX_LEVELS) {
      callerLevels.length = agentLevels.length = place = 0;
      this.levelsFromS = atS;
    }
    if (place < 0) return;
    const isFilled = place - callerLevels.length <= FILLED_LEVELS;
    while (callerLevels.length < place) {
      callerLevels.push(isFilled ? caller : NaN);
      agentLevels.push(isFilled ? agent : NaN);
    }
    callerLevels[place] = caller;
    agentLevels[place] = agent;
    const tooMany = callerLevels.length - MAX_LEVELS;
    if (tooMany <= 0) return;
    const dropped = Math.max(tooMany, MINUTE_OF_LEVELS);
    callerLevels.splice(0, dropped);
    agentLevels.splice(0, dropped);
    this.levelsFromS += dropped * LEVEL_S;
  }

  /** @param {number} atS when the call ended: nothing goes on */
  end(atS) {
    for (const span of [...this.turns, ...this.tools, ...this.gaps]) {
      span.toS ??= Math.max(span.fromS, atS);
    }
    for (const span of this.tools) span.isWaiting = false;
    this.#openGaps.clear();
  }

  /** @param {Who} who @param {number} rowKey @param {number} fromS @returns {Voice} */
  #begin(who, rowKey, fromS) {
    /** @type {Turn} */
    const turn = { who, rowKey, fromS, toS: null, heardToS: null };
    const voice = { turn, saidS: fromS, isSure: false, heardS: 0, unheardS: 0 };
    this.turns.push(turn);
    this.#voices.set(rowKey, voice);
    bound(this.turns);
    bound(this.#voices);
    return voice;
  }
}
