/** Who is in the open call, how it is, and which half of it is shown where there is no room for both. */

import { button, made, put } from "../shared/elements.js";
import { makeOneTabStop } from "./one_tab_stop.js";
import { callerWords, endsBadly, endWords, lastsNow, lengthOf } from "./words.js";
import { stateTone, stateWord, tagline } from "./words.js";

/** @typedef {import("./types").Summary} Summary */
/** @typedef {import("./types").Operator} Operator */

/** @type {Record<string, string>} */
const TONES = { need: "now", agent: "now calm", bad: "now bad" };

/**
 * How a call is, in a few words, and the class of these. Pure.
 *
 * @param {Summary} summary
 * @param {Operator} me
 * @param {number} now ms of the server's clock
 */
export function headWords(summary, me, now) {
  const { state, end_reason: reason } = summary;
  if (state === "ended") return { word: endWords(summary), tone: endsBadly(reason) ? "now bad" : "now off" };
  // What waits is seen below; who has the call would be seen nowhere.
  const isTaken = state === "needs_approval" && Boolean(summary.taken_over_by);
  const shown = isTaken ? /** @type {Summary} */ ({ ...summary, state: "taken_over" }) : summary;
  const word = state === "tool_running" ? tagline(summary, me, now) : stateWord(shown, me);
  return { word, tone: TONES[stateTone(shown)] ?? "now off" };
}

/**
 * Number, and whom the call is for. Pure.
 *
 * @param {Summary} summary
 * @returns {string[]}
 */
export function partiesOf(summary) {
  const { agent, called, direction } = summary;
  const other = agent ?? called;
  const side = direction === "outbound" ? "from" : "to";
  return [callerWords(summary).detail, other ? `${side} ${other}` : ""].filter(Boolean);
}

export class CallHeader {
  element = made("header");
  heading = made("h1", "cut");
  #state = made("span", "now");
  #length = made("span");
  #parties = made("span");
  #tabs = made("div", "seg sm tabs2");
  #onTab;

  /**
   * @param {object} hands
   * @param {() => void} hands.onBack
   * @param {(isFigures: boolean) => void} hands.onTab
   * @param {[string, string]} hands.panels ids of what the tabs show
   */
  constructor({ onBack, onTab, panels }) {
    this.#onTab = onTab;
    const back = button({ icon: "back", className: "btn bare sq back", title: "All calls", onPress: onBack });
    const sub = made("p", "sub");
    this.heading.dir = "auto";
    this.heading.tabIndex = -1;
    this.#parties.dir = "auto";
    sub.append(this.#state, " · ", this.#length, this.#parties);
    const title = made("div", "grow");
    title.append(this.heading, sub);
    this.#tabs.setAttribute("role", "tablist");
    this.#tabs.setAttribute("aria-label", "Parts of the call");
    for (const [index, word] of ["Transcript", "Figures"].entries()) {
      const tab = made("button", "", word);
      tab.type = "button";
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-controls", panels[index]);
      tab.addEventListener("click", () => this.choose(index));
      this.#tabs.append(tab);
    }
    makeOneTabStop(this.#tabs, (tab) => tab.click());
    this.choose(0);
    this.element.append(back, title, this.#tabs);
  }

  /** @param {Summary} summary @param {Operator} me @param {number} now ms of the server's clock */
  update(summary, me, now) {
    const { word, tone } = headWords(summary, me, now);
    put(this.heading, callerWords(summary).name);
    put(this.#state, word);
    if (this.#state.className !== tone) this.#state.className = tone;
    put(this.#length, lengthOf(lastsNow(summary, now)));
    put(this.#parties, partiesOf(summary).map((part) => ` · ${part}`).join(""));
  }

  /** @param {number} chosen 0 for the transcript, 1 for the figures */
  choose(chosen) {
    this.#onTab(chosen === 1);
    for (const [index, tab] of [...this.#tabs.children].entries()) {
      tab.setAttribute("aria-selected", String(index === chosen));
      tab.setAttribute("tabindex", index === chosen ? "0" : "-1");
    }
  }
}
