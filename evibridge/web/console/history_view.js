/** Ended calls: filters, the table or rows of them, and pages of older ones. */

import { button, made, put } from "../shared/elements.js";
import { callsAsCsv } from "./csv.js";
import { emptyMessage, noMatch } from "./empty_view.js";
import { Filters as Toolbar, KnownAgents } from "./filters.js";
import { DAYS, merged, NO_FILTERS, paramsOf } from "./history_query.js";
import { HistoryTable } from "./history_table.js";
import { Listbox, openOnClick, rowOf } from "./listbox.js";
import { END_REASONS, endsBadly, GOAL_MS, reasonWords } from "./words.js";

/** @typedef {import("./types").Summary} Summary */
/** @typedef {import("./history_query.js").Filters} Filters */
/** @typedef {import("./filters.js").Option} Option */
/** @typedef {{calls: Summary[], next: string | null}} Page */

const A_PAGE = "50";
const A_LARGE_PAGE = "200";
const MOST_SAVED = 2000;
/** @type {Page} */
const NO_CALLS = { calls: [], next: null };
/** @type {Option[]} */
const ENDINGS = [["", "Any ending"]];
for (const reason of END_REASONS) ENDINGS.push([reason, reasonWords(reason)]);
/** @type {[label: string, name: keyof Filters, value: string][]} */
const CHIPS = [
  ["Ended by a fault", "end_reason", END_REASONS.filter((reason) => endsBadly(reason)).join()],
  ["Transferred", "end_reason", "transferred"],
  ["Interrupted", "interrupted", "true"],
  ["Slow", "slower_than_ms", `${GOAL_MS}`],
  ["Has a recording", "recorded", "true"],
];

export class HistoryView {
  #section;
  #load;
  #onClear;
  #query = "";
  /** Id of the call that was opened last. */
  #opened = "";
  #filters = NO_FILTERS;
  /** @type {Page | null} */
  #page = null;
  /** Number of the last question: the answers to those before it are void. */
  #asked = 0;
  #agents = new KnownAgents();
  #calls = new HistoryTable();
  #box;
  #scroller = made("div", "rows");
  #message = made("div");
  #older = button({ label: "Older calls", className: "btn older", onPress: () => this.#loadOlder() });
  #save = button({
    label: "Save as CSV",
    title: "Save as CSV",
    icon: "down",
    className: "btn sm bare",
    onPress: () => this.#saveAsCsv(),
  });
  #told = made("span", "muted");
  #drawFilters;

  /**
   * @param {HTMLElement} section
   * @param {object} parts
   * @param {(params: Record<string, string>) => Promise<Page>} parts.load `GET /v1/calls`
   * @param {(callId: string) => void} parts.onOpen
   * @param {() => void} [parts.onClear] nothing is to be searched for any more
   */
  constructor(section, { load, onOpen, onClear }) {
    this.#section = section;
    this.#load = load;
    this.#onClear = onClear;
    this.#box = new Listbox(this.#calls.list, "Ended calls, newest first", onOpen);
    this.#told.setAttribute("role", "status");
    this.#scroller.tabIndex = -1;
    this.#drawFilters = this.#offerFilters(new Toolbar(section));
    openOnClick(this.#calls.table, onOpen);
    this.#scroller.append(this.#calls.table, this.#calls.list, this.#message, this.#older);
    section.append(this.#scroller);
    this.#older.hidden = this.#save.hidden = this.#calls.table.hidden = true;
    this.#drawFilters();
  }

  /**
   * Show the ended calls that match, as of now.
   *
   * @param {string} query
   */
  show(query) {
    const isSame = query === this.#query;
    this.#query = query;
    return this.#reload(isSame);
  }

  /**
   * A call stands beside the list, or none does.
   *
   * @param {string | null} callId
   */
  open(callId) {
    const isBeside = callId !== null;
    this.#opened = callId ?? this.#opened;
    this.#section.className = isBeside ? "list" : "hist";
    this.#calls.list.className = isBeside ? "" : "narrow-only";
    this.#box.open(callId);
  }

  /**
   * Go to the next call, or to the one before.
   *
   * @param {number} by
   */
  step(by) {
    if (this.#calls.list.offsetParent) return this.#box.step(by);
    const links = [...this.#calls.table.querySelectorAll("a")];
    const isOpened = (/** @type {HTMLElement} */ link) => rowOf(link)?.dataset.call === this.#opened;
    const focused = links.findIndex((link) => link === document.activeElement);
    // From elsewhere one goes on from the call that was open.
    const at = focused < 0 ? links.findIndex(isOpened) : focused;
    return links[Math.min(links.length - 1, Math.max(0, at + by))]?.focus();
  }

  focus() {
    this.step(0);
  }

  /** @param {Toolbar} toolbar @returns {() => void} draws them */
  #offerFilters(toolbar) {
    const showDay = toolbar.choice("Day", (day) => this.#pick("day", day));
    const showAgent = toolbar.choice("Agent", (agent) => this.#pick("agent", agent));
    const showEnding = toolbar.choice("Why it ended", (reason) => this.#pick("end_reason", reason));
    const showChips = CHIPS.map(([label, name, value]) =>
      toolbar.chip(label, () => this.#pick(name, this.#filters[name] === value ? "" : value)));
    toolbar.element.append(made("span", "grow"), this.#told);
    toolbar.add(this.#save);
    return () => {
      showDay(DAYS.map(([day, label]) => [day, label]), this.#filters.day);
      showAgent(this.#agents.options, this.#filters.agent);
      showEnding(ENDINGS, this.#filters.end_reason);
      CHIPS.forEach(([, name, value], index) => showChips[index](this.#filters[name] === value));
    };
  }

  /** @param {keyof Filters} name @param {string} value */
  #pick(name, value) {
    this.#filters = { ...this.#filters, [name]: value };
    put(this.#told, "");
    return this.#reload(false);
  }

  #params() {
    return { ...paramsOf(this.#filters, this.#query, new Date()), limit: A_PAGE };
  }

  /** @param {boolean} isSame the calls of before belong to it as well, and stay if this fails */
  async #reload(isSame) {
    const known = isSame ? this.#page : null;
    const page = await this.#ask(this.#params(), (sentence) => {
      if (known) return;
      this.#draw(NO_CALLS);
      this.#page = null;
      this.#fail(sentence, () => this.#reload(false));
    });
    if (page) this.#draw(known ? merged(page, known) : page);
  }

  async #loadOlder() {
    const { calls, next } = this.#page ?? NO_CALLS;
    if (!next || this.#section.ariaBusy) return;
    const page = await this.#ask({ ...this.#params(), before: next }, (sentence) =>
      this.#fail(sentence, () => this.#loadOlder()));
    if (!page) return;
    const hadFocus = document.activeElement === this.#older;
    this.#draw({ calls: [...calls, ...page.calls], next: page.next });
    if (hadFocus && this.#older.hidden) this.#scroller.focus({ preventScroll: true });
  }

  /**
   * @param {Record<string, string>} params
   * @param {(sentence: string) => void} onFailed
   * @returns {Promise<Page | null>} null if it has failed, or something else was asked for meanwhile
   */
  async #ask(params, onFailed) {
    const asked = (this.#asked += 1);
    this.#section.ariaBusy = "true";
    this.#drawFilters();
    if (!this.#page?.calls.length) this.#say(emptyMessage("Loading ended calls…"));
    const page = await this.#load(params).catch((error) => String(error.message));
    if (asked !== this.#asked) return null;
    this.#section.ariaBusy = null;
    if (typeof page !== "string") return page;
    onFailed(page);
    return null;
  }

  /** @param {string} sentence @param {() => void} again */
  #fail(sentence, again) {
    this.#say(emptyMessage("Ended calls could not be loaded", sentence, [["Try again", again]]));
  }

  /** @param {Page} page */
  #draw(page) {
    const { calls, next } = page;
    this.#page = page;
    this.#agents.add(calls.map((call) => call.agent));
    this.#save.hidden = !calls.length;
    this.#older.hidden = !next;
    this.#drawFilters();
    this.#calls.show(calls);
    this.#box.settle();
    this.#say(calls.length ? null : this.#reasonForNone());
  }

  #reasonForNone() {
    const { day, ...others } = this.#filters;
    const [, , words = ""] = DAYS.find(([name]) => name === day) ?? [];
    /** @type {import("./empty_view.js").Action[]} */
    const actions = words ? [["Search all days", () => this.#pick("day", "")]] : [];
    if (this.#query || Object.values(others).some(Boolean)) {
      return noMatch(this.#query, words, [...actions, ["Clear filters", () => this.#clear()]]);
    }
    const text = "A call appears here once its record is written.";
    return emptyMessage(`No call has ended${words || " yet"}`, text, actions);
  }

  #clear() {
    this.#filters = { ...NO_FILTERS, day: this.#filters.day };
    if (this.#query) this.#onClear?.();
    return this.show("");
  }

  /** @param {HTMLElement | null} message */
  #say(message) {
    this.#message.replaceChildren(...(message ? [message] : []));
  }

  async #saveAsCsv() {
    if (this.#save.ariaDisabled || this.#section.ariaBusy) return;
    this.#save.ariaDisabled = "true";
    put(this.#told, "Collecting calls…");
    try {
      const { calls, next } = await this.#allThatMatch();
      saveText(callsAsCsv(calls));
      const more = next ? " There are more: choose fewer days." : "";
      const saved = calls.length === 1 ? "1 call" : `${calls.length.toLocaleString()} calls`;
      put(this.#told, `Saved ${saved}.${more}`);
    } catch (error) {
      put(this.#told, /** @type {Error} */ (error).message);
    }
    this.#save.ariaDisabled = null;
  }

  /** The first 2,000 at most. */
  async #allThatMatch() {
    const params = { ...this.#params(), limit: A_LARGE_PAGE };
    let { calls, next } = this.#page ?? NO_CALLS;
    while (next && calls.length < MOST_SAVED) {
      const page = await this.#load({ ...params, before: next });
      calls = [...calls, ...page.calls];
      next = page.next;
    }
    return { calls: calls.slice(0, MOST_SAVED), next: calls[MOST_SAVED] ? "more" : next };
  }
}

/** @param {string} text */
function saveText(text) {
  const link = made("a");
  // Spreadsheets take a text without this mark for one of an old character set.
  link.href = URL.createObjectURL(new Blob(["\ufeff", text], { type: "text/csv;charset=utf-8" }));
  link.download = "calls.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
