/** The live calls: filters, and a row for each call. */

import { made } from "../shared/elements.js";
import { MINUTE_S, minuteOf, Strips } from "./activity_strip.js";
import { noMatch } from "./empty_view.js";
import { Filters, KnownAgents } from "./filters.js";
import { eachFrame } from "./frame.js";
import { Listbox, rowOf } from "./listbox.js";
import { LiveRow } from "./live_row.js";
import { arrange } from "./row_order.js";

/** @typedef {import("./types").Operator} Operator */
/** @typedef {import("./live_calls.js").LiveCalls} LiveCalls */

/** @type {[filter: string, label: string][]} */
const CHIPS = [["all", "All"], ["needs_you", "Needs you"], ["slow", "Slow"]];
const COLUMNS = ["State", "Caller", "Agent", "Length", "Last words", "Last minute", "Expression", "Response"];
const AT_THE_RIGHT = ["Length", "Response"];

export class ListView {
  /** What is searched for. */
  query = "";
  /**
   * Ids of calls that the server has found; null as long as it was not asked.
   *
   * @type {Set<string> | null}
   */
  found = null;
  /** Have it drawn with the next frame. */
  update = eachFrame(() => this.#draw());
  #section;
  #calls;
  #me;
  #clock;
  #onClear;
  #rows = made("div", "rows");
  #head = made("div", "head-row");
  #box;
  #strips = new Strips();
  #stripsAt = 0;
  /** @type {Map<string, LiveRow>} */
  #drawn = new Map();
  /** One of the chips, or the name of an agent. */
  #filter = "all";
  #showChips;
  #showAgent;
  #agents = new KnownAgents();
  /** @type {HTMLElement | null} */
  #message = null;
  #messageFor = "";
  /**
   * Id of the call under the pointer.
   *
   * @type {string | null}
   */
  #pointed = null;

  /**
   * @param {HTMLElement} section
   * @param {object} parts
   * @param {LiveCalls} parts.calls
   * @param {() => Operator} parts.me
   * @param {{now(): number}} parts.clock
   * @param {(callId: string) => void} parts.onOpen
   * @param {() => void} [parts.onClear] nothing is searched for any more
   */
  constructor(section, { calls, me, clock, onOpen, onClear }) {
    this.#section = section;
    this.#calls = calls;
    this.#me = me;
    this.#clock = clock;
    this.#onClear = onClear;
    const filters = new Filters(section);
    this.#showChips = CHIPS.map(([filter, label]) => filters.chip(label, () => this.#pick(filter)));
    this.#showAgent = filters.choice("Agent", (agent) => this.#pick(agent || "all"));
    this.#box = new Listbox(this.#rows, "Live calls, those that need you first", onOpen);
    this.#head.setAttribute("aria-hidden", "true");
    for (const column of COLUMNS) {
      this.#head.append(made("span", AT_THE_RIGHT.includes(column) ? "r" : "", column));
    }
    this.#rows.append(this.#head);
    section.append(this.#rows);
    this.#holdWhileInUse();
  }

  /**
   * Mark the row of the open call.
   *
   * @param {string | null} callId
   */
  open(callId) {
    this.#box.open(callId);
  }

  /**
   * Go to the next row, or to the one before.
   *
   * @param {number} by
   */
  step(by) {
    this.#box.step(by);
  }

  focus() {
    this.#box.focus();
  }

  /** Nothing moves under the pointer or the focus. */
  #holdWhileInUse() {
    const rows = this.#rows;
    rows.addEventListener("pointerover", ({ target }) => this.#hold(rowOf(target)?.dataset.call ?? null));
    rows.addEventListener("pointerleave", () => this.#hold(null));
    rows.addEventListener("focusin", () => this.#hold(this.#pointed));
    rows.addEventListener("focusout", () => queueMicrotask(() => this.#hold(this.#pointed)));
  }

  /** @param {string | null} pointed */
  #hold(pointed) {
    this.#pointed = pointed;
    const focused = this.#rows.querySelector(".call:focus-visible");
    this.#calls.holdOrder(pointed ?? rowOf(focused)?.dataset.call ?? null);
    this.update();
  }

  /** @param {string} filter */
  #pick(filter) {
    this.#filter = filter;
    this.update();
  }

  #draw() {
    if (this.#section.hidden) return;
    const me = this.#me();
    const now = this.#clock.now();
    const shown = this.#calls.rows({ filter: this.#filter, query: this.query, found: this.found });
    this.#drawFilters();
    const goneFrom = this.#dropAllBut(new Set(shown.map((summary) => summary.call_id)));
    const nodes = shown.map((summary) => {
      const row = this.#rowOf(summary.call_id);
      row.update(summary, me, now);
      return row.node;
    });
    arrange(this.#rows, this.#head, nodes, document.activeElement);
    this.#box.settle();
    if (goneFrom >= 0) this.#box.rows[Math.min(goneFrom, shown.length - 1)]?.focus();
    this.#drawMessage(shown.length === 0 && this.#calls.counts().all > 0);
    const second = Math.floor(now / 1000);
    if (second !== this.#stripsAt) this.#strips.draw();
    this.#stripsAt = second;
  }

  #drawFilters() {
    const { all, needsYou, slow } = this.#calls.counts();
    [all, needsYou, slow].forEach((count, index) =>
      this.#showChips[index](CHIPS[index][0] === this.#filter, count));
    const agents = this.#calls.agents();
    // Where there is little room, nobody needs to be told of the only one.
    this.#rows.classList.toggle("lone", agents.length < 2);
    this.#agents.add(agents);
    this.#showAgent(this.#agents.options, this.#filter);
  }

  /**
   * @param {Set<string>} ids
   * @returns {number} place of the row that had the focus and is gone; -1 if there is none
   */
  #dropAllBut(ids) {
    let place = -1;
    for (const [id, row] of this.#drawn) {
      if (ids.has(id)) continue;
      if (row.node === document.activeElement) place = this.#box.rows.indexOf(row.node);
      row.node.remove();
      this.#drawn.delete(id);
    }
    return place;
  }

  /** @param {string} callId */
  #rowOf(callId) {
    let row = this.#drawn.get(callId);
    if (row) return row;
    row = new LiveRow(callId);
    this.#drawn.set(callId, row);
    this.#strips.add(row.strip, MINUTE_S, () => minuteOf(this.#calls.activity(callId)));
    return row;
  }

  /** @param {boolean} isWanted */
  #drawMessage(isWanted) {
    const key = isWanted ? `for ${this.query}` : "";
    if (key === this.#messageFor) return;
    this.#messageFor = key;
    this.#message?.remove();
    this.#message = isWanted ? noMatch(this.query, " now", [["Clear filters", () => this.#clear()]]) : null;
    if (this.#message) this.#section.append(this.#message);
    this.#rows.hidden = isWanted;
  }

  #clear() {
    this.#pick("all");
    if (this.query) this.#onClear?.();
    this.#box.focus();
  }
}
