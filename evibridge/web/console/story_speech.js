/** Who said what, and what of it was heard: the utterances among a call's rows. Pure. */

import { bound } from "./story_rows.js";

/** @typedef {import("./types").UtteranceRow} UtteranceRow */
/** @typedef {import("./types").Who} Who */
/** @typedef {{row: UtteranceRow, parts: Part[], due: number, lastS: number}} AgentTurn */
/** @typedef {{turn: AgentTurn, text: string, rest: string, isDue: boolean}} Part */

/** After so much silence another sentence of the agent begins a row. */
const TURN_GAP_S = 3;
/** The same, while it is not known that everything was heard. */
const DUE_GAP_S = 30;
const MAX_PARTS = 100;
const UNNAMED = "~unnamed ";
const S_PER_CHARACTER = 0.065;

export class StorySpeech {
  #rows;
  #timeline;
  /** @type {Map<string, UtteranceRow>} */
  #interims = new Map();
  /** @type {Map<string, Part[]>} by the utterance's id */
  #parts = new Map();
  /** @type {AgentTurn | null} */
  #newest = null;
  /** @type {AgentTurn | null} the first of the agent since the caller's last words */
  #answer = null;
  /** @type {number | null} */
  #answerMs = null;

  /**
   * @param {import("./story_rows.js").StoryRows} rows
   * @param {import("./story_timeline.js").StoryTimeline} timeline
   */
  constructor(rows, timeline) {
    this.#rows = rows;
    this.#timeline = timeline;
    /** Whether the sound flows elsewhere, so that nobody tells what was heard. */
    this.isElsewhere = false;
  }

  clear() {
    this.#interims.clear();
    this.#parts.clear();
    this.#newest = this.#answer = this.#answerMs = null;
  }

  /**
   * The caller or an operator says something; interim words are replaced by the next of the same speaker.
   *
   * @param {"caller" | "operator"} who
   * @param {number} atS
   * @param {Pick<UtteranceRow, "by" | "text" | "isTyped" | "scores"> &
   *   {isInterim: boolean, spokeS: number | null}} said
   */
  said(who, atS, { by, text, isTyped, scores, isInterim, spokeS }) {
    const speaker = `${who} ${by ?? ""}`;
    const before = isTyped ? undefined : this.#interims.get(speaker);
    if (!isTyped) this.#interims.delete(speaker);
    if (!text.trim()) {
      if (before) this.#remove(before);
      return;
    }
    const [final, interim] = isInterim ? ["", text] : [text, ""];
    const row = before ?? this.#rows.add({ ...utterance(who, atS), by, interim, isTyped });
    Object.assign(row, { text: final, interim, scores });
    this.#rows.change(row);
    if (isInterim) this.#interims.set(speaker, row);
    else {
      this.#rows.goesOn = row;
      if (who === "caller") this.#answer = null;
    }
    const lengthS = spokeS ?? text.length * S_PER_CHARACTER;
    if (!isTyped) this.#timeline.spoke(who, row.key, atS, { isInterim, lengthS });
    else if (who === "operator") this.#timeline.reckoned(who, row.key, atS, lengthS);
  }

  /**
   * The agent is about to say a sentence.
   *
   * @param {string} id of the utterance @param {string} text @param {number} atS
   */
  agentSaid(id, text, atS) {
    if (!text.trim()) return;
    const turn = this.#turnFor(atS);
    const part = { turn, text, rest: "", isDue: !this.isElsewhere };
    turn.parts.push(part);
    const parts = this.#parts.get(id);
    if (parts?.some((one) => one.isDue)) parts.push(part);
    else this.#parts.set(id, [part]);
    bound(this.#parts);
    turn.lastS = atS;
    if (part.isDue) {
      turn.due += 1;
      this.#timeline.agentBegins(turn.row.key, atS);
    } else this.#timeline.reckoned("agent", turn.row.key, atS, text.length * S_PER_CHARACTER);
    this.#show(turn);
  }

  /**
   * An utterance is over, and so much of it was heard.
   *
   * @param {string} id
   * @param {{heardS: number, sentS: number, text: string}} heard
   * @param {number} atS when it was over
   */
  agentHeard(id, { heardS, sentS, text }, atS) {
    const parts = this.#partsOf(id)?.filter((part) => part.isDue);
    if (!parts?.length) return;
    let left = wordsOf(text).length;
    for (const part of parts) {
      const { turn } = part;
      const words = wordsOf(part.text);
      if (left < words.length) {
        part.text = words.slice(0, left).join(" ");
        part.rest = words.slice(left).join(" ");
        if (this.#rows.goesOn === turn.row) this.#rows.goesOn = null;
      }
      left = Math.max(0, left - words.length);
      part.isDue = false;
      turn.due -= 1;
      turn.lastS = Math.max(turn.lastS, atS);
      this.#show(turn);
    }
    const { turn } = parts[parts.length - 1];
    for (const part of parts) {
      if (part.turn !== turn) this.#timeline.agentHeard(part.turn.row.key, atS, silent(part.turn));
    }
    this.#timeline.agentHeard(turn.row.key, atS, { heardS, sentS, isLast: !turn.due });
  }

  /**
   * How the agent's voice sounded; without an id, or with one that is not known, in its newest row.
   *
   * @param {string} id @param {import("./types").Scores} scores
   */
  agentSounded(id, scores) {
    const turn = this.#partsOf(id)?.at(-1)?.turn ?? this.#newest;
    if (!turn) return;
    turn.row.scores = scores;
    this.#rows.change(turn.row);
  }

  /**
   * The agent begins to answer; returns the key of the row that does, null if it is not there yet.
   *
   * @param {number} ms @param {number} atS
   */
  answered(ms, atS) {
    if (!this.#answer) {
      this.#answerMs = ms;
      return null;
    }
    const { row } = this.#answer;
    row.responseMs ??= ms;
    this.#rows.change(row);
    this.#timeline.agentSounds(row.key, atS);
    return row.key;
  }

  /** Nothing more will be said: interim words are what is known. */
  end() {
    for (const row of this.#interims.values()) {
      row.text = row.interim;
      row.interim = "";
      this.#rows.change(row);
    }
    this.clear();
  }

  /** @param {number} atS @returns {AgentTurn} */
  #turnFor(atS) {
    const before = this.#newest;
    const gapS = before?.due ? DUE_GAP_S : TURN_GAP_S;
    const goesOn = before && before.row === this.#rows.goesOn && before.parts.length < MAX_PARTS;
    if (goesOn && atS - before.lastS < gapS) return before;
    const row = this.#rows.add(utterance("agent", atS));
    const turn = { row, parts: [], due: 0, lastS: atS };
    if (!this.#answer) {
      this.#answer = turn;
      row.responseMs = this.#answerMs;
      this.#answerMs = null;
    }
    this.#newest = turn;
    return turn;
  }

  /**
   * An utterance without a name is given its id with its sound.
   *
   * @param {string} id
   */
  #partsOf(id) {
    const parts = this.#parts.get(id);
    if (parts || !id || !this.#newest) return parts;
    const unnamed = this.#newest.parts.find((part) => part.isDue);
    for (const [name, others] of unnamed ? this.#parts : []) {
      if (name.startsWith(UNNAMED) && others.some((part) => part.isDue)) return others;
    }
    return undefined;
  }

  /** @param {AgentTurn} turn */
  #show({ row, parts }) {
    row.text = joined(parts.map((part) => part.text));
    row.unheard = joined(parts.map((part) => part.rest));
    this.#rows.change(row);
  }

  /** @param {UtteranceRow} row */
  #remove(row) {
    this.#rows.remove(row);
    this.#timeline.drop(row.key);
  }
}

/** @param {Who} who @param {number} atS @returns {UtteranceRow} */
function utterance(who, atS) {
  const nothing = { by: null, responseMs: null, scores: null, isTyped: false };
  return { kind: "utterance", key: 0, atS, who, text: "", unheard: "", interim: "", ...nothing };
}

/** @param {AgentTurn} turn */
function silent(turn) {
  return { heardS: 0, sentS: 0, isLast: !turn.due };
}

/** @param {string} text */
function wordsOf(text) {
  return text.split(/\s+/).filter(Boolean);
}

/** @param {string[]} texts */
function joined(texts) {
  return texts.filter(Boolean).join(" ");
}
