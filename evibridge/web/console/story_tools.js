/** The tools of a call, each in its row, and those that wait for an operator. Pure. */

import { bound } from "./story_rows.js";
import { decisionWords, textIn } from "./story_words.js";

/** @typedef {import("./types").ToolRow} ToolRow */
/** @typedef {import("./types").WaitingTool} WaitingTool */
/** @typedef {import("./types").Told} Told */

export class StoryTools {
  /** @type {WaitingTool[]} */
  approvals = [];
  /** @type {{name: string, isApproved: boolean, by: string, atS: number} | null} */
  lastDecision = null;
  /** How many there are of each state. */
  counts = { waiting: 0, running: 0, done: 0, failed: 0 };
  #rows;
  #timeline;
  #me;
  /** @type {Map<string, ToolRow>} */
  #known = new Map();

  /**
   * @param {import("./story_rows.js").StoryRows} rows
   * @param {import("./story_timeline.js").StoryTimeline} timeline
   * @param {string} me
   */
  constructor(rows, timeline, me) {
    this.#rows = rows;
    this.#timeline = timeline;
    this.#me = me;
  }

  clear() {
    this.#known.clear();
    this.approvals = [];
    this.counts = { waiting: 0, running: 0, done: 0, failed: 0 };
  }

  /** @param {Told} told @param {number} atS */
  started(told, atS) {
    // The next chat may number its calls anew: what is over stays as it is.
    const before = this.#known.get(idOf(told));
    const isOver = before?.state === "done" || before?.state === "failed";
    const row = !before || isOver ? this.#add(told, atS) : before;
    row.parameters = textIn(told.parameters);
    row.path = told.path ?? "socket";
    this.#rows.change(row);
  }

  /** @param {Told} told @param {number} atS @param {number} now ms of the server's clock */
  wanted(told, atS, now) {
    const row = this.#known.get(idOf(told)) ?? this.#add(told, atS);
    const { toolCallId, name } = row;
    row.parameters = textIn(told.parameters) || row.parameters;
    const { parameters } = row;
    this.#become(row, "waiting");
    const timeoutS = Number.isFinite(told.timeout_s) ? told.timeout_s : 0;
    this.approvals.push({ toolCallId, name, parameters, expiresAt: now + timeoutS * 1000, timeoutS });
  }

  /** @param {Told} told @param {number} atS */
  given(told, atS) {
    const isApproved = told.is_approved === true;
    this.lastDecision = { name: textIn(told.name), isApproved, by: textIn(told.by), atS };
    const row = this.#known.get(idOf(told)) ?? this.#add(told, atS);
    row.decision = decisionWords(isApproved, told.by, this.#me);
    this.#become(row, "running");
  }

  /** @param {Told} told @param {number} atS */
  finished(told, atS) {
    const durationMs = Number.isFinite(told.duration_ms) ? told.duration_ms : null;
    const beganS = Math.max(0, atS - (durationMs ?? 0) / 1000);
    const row = this.#known.get(idOf(told)) ?? this.#add(told, beganS);
    Object.assign(row, { result: told.content ?? null, durationMs });
    this.#end(row, told.outcome, atS);
  }

  /**
   * What was answered early is done.
   *
   * @param {Told} told @param {number} atS
   */
  delivered(told, atS) {
    const row = this.#known.get(idOf(told));
    if (row) this.#end(row, told.outcome, atS);
  }

  /**
   * Nobody waits any more.
   *
   * @param {number} atS
   */
  end(atS) {
    this.approvals = [];
    for (const row of this.#known.values()) {
      if (row.state === "waiting" || row.state === "running") this.#end(row, null, atS);
    }
  }

  /** @param {ToolRow} row @param {string | null} outcome @param {number} atS */
  #end(row, outcome, atS) {
    row.outcome = outcome;
    this.#become(row, outcome === "answered" ? "done" : "failed");
    this.#timeline.toolEnds(row.toolCallId, atS, row.state === "failed");
  }

  /** @param {ToolRow} row @param {ToolRow["state"]} state */
  #become(row, state) {
    this.counts[row.state] -= 1;
    this.counts[state] += 1;
    row.state = state;
    this.#timeline.toolWaits(row.toolCallId, state === "waiting");
    this.#rows.change(row);
    if (this.approvals.length) {
      this.approvals = this.approvals.filter(({ toolCallId }) => toolCallId !== row.toolCallId);
    }
  }

  /** @param {Told} told @param {number} atS */
  #add(told, atS) {
    const toolCallId = idOf(told);
    /** @type {ToolRow} */
    const row = { kind: "tool", key: 0, atS, toolCallId, name: textIn(told.name), parameters: "",
      state: "running", result: null, outcome: null, durationMs: null, path: "socket", decision: null };
    this.counts.running += 1;
    this.#known.set(toolCallId, row);
    bound(this.#known);
    this.#timeline.toolBegins(toolCallId, row.name, atS);
    return this.#rows.add(row);
  }
}

/** @param {Told} told */
function idOf({ tool_call_id: id }) {
  return textIn(id);
}
