/** The conversation as rows: who said what, what of it was heard, which tools ran. Pure. */

/** Beyond it the oldest rows are dropped; a call of half an hour has some hundreds. */
export const MAX_ROWS = 5000;
/** After so much silence another sentence of the agent begins a row. */
const TURN_GAP_S = 3;

/** @typedef {{name: string, score: number}} Expression */
/** @typedef {{id: string, text: string, fate: "due"|"heard"|"cut"|"unheard"}} Said */
/**
 * @typedef {object} Row
 * @property {number} key
 * @property {"caller"|"agent"|"person"|"tool"} by
 * @property {number} atS since the call began
 * @property {number} lastS when something was added last
 * @property {Said[]} said utterances; a tool's row has none
 * @property {boolean} isInterim
 * @property {Expression[]} expression strongest first
 * @property {{id: string, state: string, words: string} | null} tool
 */

export class Transcript {
  /** @type {Row | null} */
  #interim = null;
  #lastKey;
  #lastSeq;

  constructor() {
    /** @type {Map<number, Row>} */
    this.rows = new Map();
    /**
     * Keys of rows that have changed or gone since they were last taken.
     * @type {Set<number>}
     */
    this.changed = new Set();
    this.dropped = 0;
    this.hasExpression = false;
    this.#lastKey = 0;
    this.#lastSeq = -1;
  }

  /**
   * Take a message of the service; returns the text that is final with it, if there is any.
   * @param {{type: string, [member: string]: any}} message
   * @returns {{by: "caller"|"agent"|"person", text: string} | null}
   */
  take(message) {
    if (typeof message.seq === "number") {
      if (message.seq <= this.#lastSeq) return null; // told again after a lost connection
      this.#lastSeq = message.seq;
    }
    if (message.expression?.length) this.hasExpression = true;
    switch (message.type) {
      case "transcript":
        if (message.by === "person") return this.#personSaid(message);
        return message.by === "agent" ? this.#agentSaid(message) : this.#callerSaid(message);
      case "heard":
        return this.#heard(message);
      case "expression":
        return this.#sounded(message);
      case "tool":
        return this.#tool(message);
      default:
        return null;
    }
  }

  /**
   * The call is over: nothing is due any more. The oldest sentence that was due was being said, the
   * others were not heard.
   */
  settle() {
    let isFirst = true;
    for (const row of this.rows.values()) {
      if (!isOpen(row)) continue;
      for (const said of row.said) {
        if (row.isInterim) said.fate = "cut";
        else if (said.fate === "due") {
          said.fate = isFirst ? "cut" : "unheard";
          isFirst = false;
        }
      }
      row.isInterim = false;
      if (row.tool?.state === "running") row.tool.state = "left";
      this.changed.add(row.key);
    }
    this.#interim = null;
  }

  /** Forget everything: another call begins. */
  clear() {
    for (const key of this.rows.keys()) this.changed.add(key);
    this.rows.clear();
    this.dropped = 0;
    this.hasExpression = false;
    this.#interim = null;
    this.#lastSeq = -1;
  }

  /** @param {any} message */
  #callerSaid({ text, typed, interim, at_s: atS = 0, expression = [] }) {
    const row = (typed ? null : this.#interim) ?? this.#add("caller", atS);
    if (!typed) this.#interim = interim ? row : null;
    row.said = [{ id: "", text, fate: "heard" }];
    row.isInterim = Boolean(interim);
    row.expression = interim ? [] : expression;
    this.changed.add(row.key);
    if (!text.trim()) {
      this.#interim = null;
      this.#remove(row);
      return null;
    }
    return interim ? null : { by: /** @type {const} */ ("caller"), text };
  }

  /**
   * An operator's words are known when they are said.
   *
   * @param {any} message
   */
  #personSaid({ text, at_s: atS = 0 }) {
    const row = this.#add("person", atS);
    row.said = [{ id: "", text, fate: "heard" }];
    this.changed.add(row.key);
    return { by: /** @type {const} */ ("person"), text };
  }

  /** @param {any} message */
  #agentSaid({ id = "", text, at_s: atS = 0, expression }) {
    const last = this.#last();
    const goesOn = last?.by === "agent" && (isDue(last) || atS - last.lastS < TURN_GAP_S);
    const row = last && goesOn ? last : this.#add("agent", atS);
    const before = row.said.find((said) => said.id === id && said.fate === "due");
    if (before) before.text += ` ${text}`;
    else row.said.push({ id, text, fate: "due" });
    if (expression?.length) row.expression = expression;
    row.lastS = atS;
    this.changed.add(row.key);
    return { by: /** @type {const} */ ("agent"), text };
  }

  /** @param {any} message */
  #heard({ id, text, complete, at_s: atS = 0 }) {
    const row = this.#rowOf(id);
    const said = row?.said.find((one) => one.id === id);
    if (!row || !said) return null;
    said.fate = complete ? "heard" : "cut";
    if (!complete) said.text = text ?? "";
    if (!said.text.trim()) row.said = row.said.filter((one) => one !== said);
    row.lastS = Math.max(row.lastS, atS);
    this.changed.add(row.key);
    if (!row.said.length) this.#remove(row);
    return null;
  }

  /** @param {any} message */
  #sounded({ id, expression }) {
    const row = this.#rowOf(id);
    if (row && expression?.length) {
      row.expression = expression;
      this.changed.add(row.key);
    }
    return null;
  }

  /** @param {any} message */
  #tool({ id, state, words, at_s: atS = 0 }) {
    const known = this.#newest((row) => row.tool?.id === id);
    const row = known ?? this.#add("tool", atS);
    row.tool = { id, state, words: words ?? row.tool?.words ?? "" };
    this.changed.add(row.key);
    return null;
  }

  /** @param {Row["by"]} by @param {number} atS @returns {Row} */
  #add(by, atS) {
    const key = ++this.#lastKey;
    /** @type {Row} */
    const row = {
      key,
      by,
      atS,
      lastS: atS,
      said: [],
      isInterim: false,
      expression: [],
      tool: null,
    };
    this.rows.set(key, row);
    if (this.rows.size > MAX_ROWS) {
      const [oldest] = this.rows.values();
      this.#remove(oldest);
      this.dropped += 1;
    }
    return row;
  }

  /** @param {Row} row */
  #remove(row) {
    this.rows.delete(row.key);
    this.changed.add(row.key);
  }

  #last() {
    return this.#newest((row) => !row.isInterim);
  }

  /**
   * An utterance without an id is the agent's newest.
   * @param {string | undefined} id
   */
  #rowOf(id) {
    return this.#newest((row) =>
      id ? row.said.some((said) => said.id === id) : row.by === "agent",
    );
  }

  /** @param {(row: Row) => boolean} fits */
  #newest(fits) {
    return [...this.rows.values()].reverse().find(fits) ?? null;
  }
}

/**
 * What of a row counts as said, and what is still due.
 * A sentence that was not heard to its end finishes with a dash; one that was not heard at all
 * before the call ended is marked.
 * @param {Row} row
 */
export function textOf(row) {
  if (row.isInterim) return { final: "", due: row.said.map((said) => said.text).join(" ") };
  const final = row.said.filter((said) => said.fate !== "due").map(wordsOf);
  const due = row.said.filter((said) => said.fate === "due").map(wordsOf);
  return { final: final.join(" "), due: due.join(" ") };
}

/** @param {NonNullable<Row["tool"]>} tool */
export function toolWords({ state, words }) {
  const what = words.replace(/\.$/, "");
  if (state === "running" || state === "left") return what || "Looking something up";
  if (state === "failed") return what ? `${what}: it did not work` : "Looking it up did not work";
  return what || "Looked something up";
}

/** @param {Said} said */
function wordsOf({ text, fate }) {
  if (fate === "unheard") return `(not heard: ${text.trim()})`;
  return fate === "cut" ? `${text.trim()} —` : text;
}

/** @param {Row} row */
function isOpen(row) {
  return row.isInterim || isDue(row) || row.tool?.state === "running";
}

/** @param {Row} row */
function isDue(row) {
  return row.said.some((said) => said.fate === "due");
}
