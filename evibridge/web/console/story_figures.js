/** What is counted and measured of one call. Pure. */

import { bound } from "./story_rows.js";
import { clockOf } from "./words.js";

/** @typedef {import("./types").Figures} Figures */
/** @typedef {import("./types").Scores} Scores */
/** @typedef {import("./types").ToolRow} ToolRow */

const STRONGEST = 5;
/** @type {ToolRow["state"][]} */
const TOOL_STATES = ["done", "failed", "running", "waiting"];

/** How one side's voice sounded, from utterance to utterance. */
class Expression {
  /** @type {Map<string, number>} */
  #sums = new Map();
  /** @type {{atS: number, scores: Scores}[]} */
  #utterances = [];

  /** @param {number} atS @param {Scores} scores */
  add(atS, scores) {
    for (const [name, score] of Object.entries(scores)) {
      this.#sums.set(name, (this.#sums.get(name) ?? 0) + score);
    }
    this.#utterances.push({ atS, scores });
    bound(this.#utterances);
  }

  /** The strongest means of the call: all are of as many utterances, so that the sums tell. */
  series() {
    const strongest = [...this.#sums].sort((one, other) => other[1] - one[1]).slice(0, STRONGEST);
    return strongest.map(([name]) => {
      const scored = this.#utterances.filter(({ scores }) => Object.hasOwn(scores, name));
      const points = scored.map(({ atS, scores }) => ({ atS, score: scores[name] }));
      return { name, latest: points.at(-1)?.score ?? 0, points };
    });
  }
}

export class StoryFigures {
  callId = "";
  chatId = "";
  keys = 0;
  interruptions = 0;
  reconnects = 0;
  reconnectS = 0;
  expression = { caller: new Expression(), agent: new Expression() };
  /** @type {Figures["responses"]} */
  #responses = [];

  /** @param {number} atS @param {number} ms @param {number | null} rowKey */
  answered(atS, ms, rowKey) {
    this.#responses.push({ atS, ms, rowKey });
    bound(this.#responses);
  }

  /**
   * @param {number} beganAtMs @param {Record<ToolRow["state"], number>} counts of tools
   * @returns {Figures}
   */
  figures(beganAtMs, counts) {
    const ranked = this.#responses.map(({ ms }) => ms).sort((one, other) => one - other);
    const { caller, agent } = this.expression;
    return {
      expression: { caller: caller.series(), agent: agent.series() },
      responses: this.#responses,
      medianMs: percentile(ranked, 50),
      p95Ms: percentile(ranked, 95),
      facts: this.#facts(beganAtMs, counts),
    };
  }

  /** @param {number} beganAtMs @param {Record<ToolRow["state"], number>} counts */
  #facts(beganAtMs, counts) {
    const { interruptions, reconnects, reconnectS, keys } = this;
    const tools = TOOL_STATES.filter((state) => counts[state]).map((state) => `${counts[state]} ${state}`);
    const lasted = reconnectS ? `, ${reconnectS.toFixed(1)} s` : "";
    const times = interruptions > 1 ? "times" : "time";
    /** @type {any[]} */
    const facts = [
      { label: "Started", value: clockOf(beganAtMs, true) },
      { label: "Interrupted", value: interruptions && `${interruptions} ${times}` },
      { label: "Tools", value: tools.join(", ") },
      { label: "Reconnects", value: reconnects && `${reconnects}${lasted}` },
      { label: "Keys pressed", value: keys && `${keys}` },
      { label: "Call id", value: this.callId, isCode: true },
      { label: "Chat id", value: this.chatId, isCode: true },
    ];
    return facts.filter(({ value }) => value);
  }
}

/**
 * The shortest wait that so many of the answers did not exceed, as in the record.
 *
 * @param {number[]} ranked @param {number} percent
 */
function percentile(ranked, percent) {
  return ranked.length ? ranked[Math.ceil((ranked.length * percent) / 100) - 1] : null;
}
