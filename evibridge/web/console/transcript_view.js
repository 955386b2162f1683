/**
 * The rows of a call in the document.
 *
 * Rows live in pages of 50 that are laid out apart from each other, so that a new row touches one page only.
 */

import { button, made } from "../shared/elements.js";
import { eventRow } from "./event_row.js";
import { eachFrame } from "./frame.js";
import { TabStop } from "./one_tab_stop.js";
import { toolRow } from "./tool_row.js";
import { utteranceRow } from "./utterance_row.js";
import { lengthOf } from "./words.js";

/** @typedef {import("./call_story.js").CallStory} CallStory */
/** @typedef {import("./types").Row} Row */
/** @typedef {{item: HTMLElement, fill(row: any, nowS: number): void}} Drawn */
/**
 * Where one was, and which tools were open, in the story before.
 * @typedef {{atS: number, kind: string, belowPx: number, open: Set<string>}} Kept
 */

const ROWS_A_PAGE = 50;
/** A long call that is opened comes in over several frames. */
const NEW_ROWS_A_FRAME = 100;
const NEAR_END_PX = 40;
/** Tools that open, and times that a recording is played from. */
const CONTROLS = "summary, .at";
/** Who has scrolled by hand is left alone for so long. */
const READS_MS = 5000;
const BY_HAND = ["wheel", "touchmove", "pointerdown", "keydown"];

export class TranscriptView {
  #scroller = made("div", "lines");
  #log = made("div");
  #jump = button({
    label: "Newer lines", icon: "down", className: "btn sm jump", onPress: () => this.toEnd(),
  });
  #hands;
  /** @type {CallStory | null} */
  #story = null;
  #isSeekable = false;
  #now = () => 0;
  #me = "";
  /** @type {Map<number, Drawn>} */
  #drawn = new Map();
  /** @type {Set<number>} */
  #running = new Set();
  /** @type {number | null} */
  #pointed = null;
  /** @type {number | null} */
  #marked = null;
  #isAtEnd = true;
  /** Whether all rows that there were are drawn: those to come are newer ones. */
  #isFilled = false;
  #top = 0;
  #scrolledAt = -Infinity;
  /** @type {Kept | null} */
  #kept = null;
  /** What lines are pressed by, for the keyboard one stop: Tab leads to the newest, arrows to the others. */
  #stop;
  /** Something has changed, or time goes on: draw it with the next frame. */
  update = eachFrame(() => this.#draw());

  /**
   * @param {HTMLElement} parent gets the lines, and below them the button that leads to the newest
   * @param {{onMark(rowKey: number | null): void, onSeek(atS: number): void}} hands
   */
  constructor(parent, hands) {
    this.#hands = hands;
    this.#scroller.tabIndex = 0;
    this.#scroller.setAttribute("role", "group");
    this.#log.setAttribute("role", "log");
    this.#log.ariaLive = "off";
    this.#stop = new TabStop(this.#log, CONTROLS, { arrows: ["ArrowUp", "ArrowDown"] });
    this.#scroller.ariaLabel = this.#log.ariaLabel = "Transcript";
    this.#scroller.append(this.#log);
    this.#jump.hidden = true;
    parent.append(this.#scroller, this.#jump);
    this.#scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#isAtEnd && this.toEnd()).observe(this.#scroller);
    for (const moves of BY_HAND) {
      this.#scroller.addEventListener(moves, () => (this.#scrolledAt = performance.now()), { passive: true });
    }
    for (const enters of ["pointerover", "focusin"]) {
      this.#scroller.addEventListener(enters, (event) => this.#point(keyOf(event)));
    }
    for (const leaves of ["pointerleave", "focusout"]) {
      this.#scroller.addEventListener(leaves, () => this.#point(null));
    }
    this.#log.addEventListener("click", (event) => this.#press(event));
  }

  /**
   * Show another call, or the same by another story.
   *
   * @param {CallStory} story
   * @param {object} how
   * @param {boolean} how.seekable
   * @param {() => number} [how.now] seconds since the call began
   * @param {string} [how.me] name of the operator who reads
   * @param {boolean} [how.isSame] the same call, in which one stays where one is; else one sees the newest
   *   line of a call that goes on, and the first one of another
   */
  show(story, { seekable, now = () => 0, me = "", isSame = false }) {
    const isKept = isSame && this.#drawn.size > 0;
    this.#kept = isKept ? this.#keep() : null;
    if (this.#log.contains(document.activeElement)) this.#scroller.focus({ preventScroll: true });
    this.#story = story;
    this.#isSeekable = seekable;
    this.#now = now;
    this.#me = me;
    this.#log.classList.toggle("seeks", seekable);
    this.#log.replaceChildren();
    this.#drawn.clear();
    this.#running.clear();
    this.#pointed = this.#marked = null;
    story.changed.clear();
    for (const key of story.rows.keys()) story.changed.add(key);
    this.#jump.hidden = true;
    this.#isAtEnd = isKept ? this.#isAtEnd : !story.isOver;
    this.#isFilled = false;
    this.#top = 0;
    if (isKept) this.#draw();
    else {
      this.#scroller.scrollTop = 0;
      this.update();
    }
  }

  /**
   * @param {number | null} rowKey
   * @param {boolean} [isShown] scroll there if it is not seen
   */
  mark(rowKey, isShown = false) {
    if (isShown) this.#itemOf(rowKey)?.scrollIntoView({ block: "nearest" });
    if (rowKey === this.#marked) return;
    this.#itemOf(this.#marked)?.classList.remove("marked");
    this.#itemOf(rowKey)?.classList.add("marked");
    this.#marked = rowKey;
  }

  /** @param {number | null} rowKey what is heard by now */
  follow(rowKey) {
    const isReading = performance.now() - this.#scrolledAt < READS_MS;
    if (rowKey !== this.#marked) this.mark(rowKey, !isReading);
  }

  toEnd() {
    this.#isAtEnd = true;
    this.#hideJump();
    // The browser knows where it ends.
    this.#scroller.scrollTop = Number.MAX_SAFE_INTEGER;
  }

  #draw() {
    if (!this.#story) return;
    const { rows, changed } = this.#story;
    const nowS = this.#now();
    let news = 0;
    for (const key of changed) {
      if (news === NEW_ROWS_A_FRAME && !this.#kept) break;
      const row = rows.get(key);
      changed.delete(key);
      if (!row) this.#forget(key);
      else {
        if (!this.#drawn.has(key)) news += 1;
        this.#fill(row, nowS);
      }
    }
    for (const key of this.#running) {
      const row = rows.get(key);
      if (row) this.#fill(row, nowS);
    }
    if (news && !this.#log.contains(document.activeElement)) this.#stop.settle(this.#stop.all.at(-1));
    if (this.#kept) this.#goBack(this.#kept);
    this.#kept = null;
    if (this.#isAtEnd) this.toEnd();
    else if (news && this.#isFilled) this.#jump.hidden = false;
    if (changed.size) this.update();
    else this.#isFilled = true;
  }

  #keep() {
    const { top } = this.#scroller.getBoundingClientRect();
    /** @type {Set<string>} */
    const open = new Set();
    let first = null;
    for (const [key, { item }] of this.#drawn) {
      const row = this.#story?.rows.get(key);
      if (!row) continue;
      if (row.kind === "tool" && item.querySelector("details[open]")) open.add(row.toolCallId);
      if (first || this.#isAtEnd) continue;
      const box = item.getBoundingClientRect();
      if (box.bottom > top) first = { atS: row.atS, kind: row.kind, belowPx: box.top - top };
    }
    return { atS: 0, kind: "", belowPx: 0, ...first, open };
  }

  /** @param {Kept} kept */
  #goBack({ atS, kind, belowPx, open }) {
    const rows = [...(this.#story?.rows.values() ?? [])];
    for (const row of rows) {
      const tool = row.kind === "tool" && open.has(row.toolCallId) && this.#itemOf(row.key);
      tool && tool.querySelector("details")?.setAttribute("open", "");
    }
    if (this.#isAtEnd) return;
    const nearest = nearestOf(rows, atS, kind);
    const top = this.#itemOf(nearest?.key ?? null)?.getBoundingClientRect().top;
    if (top === undefined) return;
    this.#scroller.scrollTop += top - this.#scroller.getBoundingClientRect().top - belowPx;
  }

  /** @param {Row} row @param {number} nowS */
  #fill(row, nowS) {
    const drawn = this.#drawn.get(row.key) ?? this.#append(row);
    drawn.fill(row, nowS);
    if (row.kind === "tool" && row.state === "running") this.#running.add(row.key);
    else this.#running.delete(row.key);
  }

  /** @param {Row} row */
  #append(row) {
    let page = this.#log.lastElementChild;
    if (!page || page.childElementCount >= ROWS_A_PAGE) {
      page?.classList.remove("live");
      page = made("ol", "page live");
      this.#log.append(page);
    }
    const item = made("li", "ln");
    item.dataset.key = String(row.key);
    item.classList.toggle("marked", row.key === this.#marked);
    item.append(this.#timeOf(row));
    const drawn = { item, fill: this.#rowOf(item, row) };
    page.append(item);
    this.#drawn.set(row.key, drawn);
    return drawn;
  }

  /** @param {HTMLElement} item @param {Row} row @returns {Drawn["fill"]} */
  #rowOf(item, row) {
    if (row.kind === "tool") return toolRow(item);
    return row.kind === "event" ? eventRow(item) : utteranceRow(item, row, this.#me);
  }

  /** @param {Row} row */
  #timeOf({ atS }) {
    const time = made("time", "", this.#isSeekable ? "" : lengthOf(atS));
    if (!this.#isSeekable) return time;
    const control = made("button", "at", lengthOf(atS));
    control.type = "button";
    control.title = "Play from here";
    control.tabIndex = -1;
    time.append(control);
    return time;
  }

  /** @param {number} key */
  #forget(key) {
    const item = this.#itemOf(key);
    const page = item?.parentElement;
    item?.remove();
    if (page && !page.childElementCount) page.remove();
    this.#drawn.delete(key);
    this.#running.delete(key);
  }

  /** @param {number | null} key */
  #itemOf(key) {
    return key === null ? undefined : this.#drawn.get(key)?.item;
  }

  /** @param {number | null} key */
  #point(key) {
    const isTurn = key !== null && this.#story?.rows.get(key)?.kind === "utterance";
    const pointed = isTurn ? key : null;
    if (pointed === this.#pointed) return;
    this.#pointed = pointed;
    this.#hands.onMark(pointed);
  }

  /** @param {Event} event */
  #press(event) {
    const key = keyOf(event);
    const row = key === null ? undefined : this.#story?.rows.get(key);
    if (!row || !this.#isSeekable) return;
    const inner = /** @type {Element} */ (event.target).closest("details, button");
    const isOther = inner && !inner.classList.contains("at");
    const isReading = !inner && String(getSelection());
    if (!isOther && !isReading) this.#hands.onSeek(row.atS);
  }

  #scrolled() {
    // What is still empty is at its end as well.
    if (!this.#isFilled) return;
    const { scrollTop, scrollHeight, clientHeight } = this.#scroller;
    // Below a smaller window the end is farther away, although nobody has scrolled.
    if (scrollTop < this.#top) this.#isAtEnd = false;
    if (scrollHeight - scrollTop - clientHeight <= NEAR_END_PX) this.#isAtEnd = true;
    if (this.#isAtEnd) this.#hideJump();
    this.#top = scrollTop;
  }

  /** The focus does not go with the button. */
  #hideJump() {
    if (this.#jump === document.activeElement) this.#scroller.focus({ preventScroll: true });
    this.#jump.hidden = true;
  }
}

/**
 * The row that tells of the same as one of another story, whose times may differ a little. Pure.
 *
 * @param {Row[]} rows @param {number} atS @param {string} kind
 */
export function nearestOf(rows, atS, kind) {
  /** @type {Row | null} */
  let nearest = null;
  const far = (/** @type {Row} */ row) => Math.abs(row.atS - atS) + (row.kind === kind ? 0 : 1);
  for (const row of rows) if (!nearest || far(row) < far(nearest)) nearest = row;
  return nearest;
}

/** @param {Event} event @returns {number | null} of the row that it concerns */
function keyOf({ target }) {
  const item = target instanceof Element && target.closest("li.ln");
  return item instanceof HTMLElement ? Number(item.dataset.key) : null;
}
