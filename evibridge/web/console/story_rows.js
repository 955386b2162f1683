/** The rows of one call's transcript, and which of them have changed. Pure. */

/** @typedef {import("./types").Row} Row */

/** Beyond it the oldest are forgotten; a call of half an hour has some hundreds. */
export const MAX_ROWS = 5000;

export class StoryRows {
  #lastKey = 0;

  constructor() {
    /** @type {Map<number, Row>} */
    this.rows = new Map();
    /**
     * Keys of rows that are new, are different, or are gone.
     * @type {Set<number>}
     */
    this.changed = new Set();
    /**
     * The newest row that is final: what is of a piece with it may be added to it.
     * @type {Row | null}
     */
    this.goesOn = null;
  }

  /**
   * Add a row, which is given its key.
   *
   * @template {Row} Added
   * @param {Added} row
   * @returns {Added}
   */
  add(row) {
    row.key = ++this.#lastKey;
    this.rows.set(row.key, row);
    this.changed.add(row.key);
    if (row.kind !== "utterance" || !row.interim) this.goesOn = row;
    if (this.rows.size > MAX_ROWS) {
      const [oldest] = this.rows.values();
      this.remove(oldest);
    }
    return row;
  }

  /** @param {string} icon @param {string} fact @param {string} rest @param {number} atS */
  addEvent(icon, fact, rest, atS) {
    /** @type {import("./types").EventRow} */
    const row = { kind: "event", key: 0, atS, icon, fact, rest };
    return this.add(row);
  }

  /** @param {Row} row in which something is different now */
  change(row) {
    if (this.rows.has(row.key)) this.changed.add(row.key);
  }

  /** @param {Row} row */
  remove(row) {
    if (this.rows.delete(row.key)) this.changed.add(row.key);
    if (this.goesOn === row) this.goesOn = null;
  }

  clear() {
    for (const key of this.rows.keys()) this.changed.add(key);
    this.rows.clear();
    this.goesOn = null;
  }
}

/**
 * Forget the oldest entries of what only ever grows.
 *
 * @param {Map<any, any> | any[]} kept
 */
export function bound(kept) {
  if (Array.isArray(kept)) {
    if (kept.length > MAX_ROWS) kept.shift();
  } else if (kept.size > MAX_ROWS) kept.delete(kept.keys().next().value);
}
