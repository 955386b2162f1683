/** Filters of a list: a toolbar of chips with one tab stop. */

import { button, icon, made, put } from "../shared/elements.js";
import { TabStop } from "./one_tab_stop.js";

/** @typedef {[value: string, words: string]} Option */

const SHOWN = "button:not([hidden]), label:not([hidden]) select";

export class Filters {
  element = made("div", "filters");
  #stop = new TabStop(this.element, SHOWN, { arrows: ["ArrowLeft", "ArrowRight"] });

  /** @param {HTMLElement} parent */
  constructor(parent) {
    this.element.setAttribute("role", "toolbar");
    this.element.setAttribute("aria-label", "Filter");
    parent.append(this.element);
  }

  /**
   * A filter that is on or off.
   *
   * @param {string} label
   * @param {() => void} onPress
   * @returns {(isPressed: boolean, calls?: number) => void} shows it
   */
  chip(label, onPress) {
    const chip = button({ label, className: "chip", onPress });
    const number = made("span");
    chip.append(number);
    this.add(chip);
    return (isPressed, calls) => {
      chip.setAttribute("aria-pressed", String(isPressed));
      number.hidden = calls === undefined;
      put(number, `${calls ?? ""}`);
    };
  }

  /**
   * A filter with several values, the first of which is any. With fewer than two others it is absent.
   *
   * @param {string} label
   * @param {(value: string) => void} onPick
   * @returns {(options: Option[], value: string) => void} shows it
   */
  choice(label, onPick) {
    const chip = made("label", "chip pick");
    const shown = made("span");
    const select = made("select");
    const chevron = icon("chev");
    let offered = 0;
    shown.dir = "auto";
    shown.setAttribute("aria-hidden", "true");
    chevron.classList.add("chev");
    select.setAttribute("aria-label", label);
    select.addEventListener("change", () => onPick(select.value));
    chip.append(shown, chevron, select);
    this.add(chip, select);
    return (options, value) => {
      // Options may be added, but none is ever taken away.
      if (options.length !== offered) {
        select.replaceChildren(...options.map(([each, words]) => new Option(words, each)));
      }
      offered = options.length;
      chip.hidden = offered < 3;
      this.#stop.settle();
      if (!options.some(([each]) => each === value)) value = options[0][0];
      if (select.value !== value) select.value = value;
      put(shown, select.selectedOptions[0].label);
      chip.classList.toggle("on", value !== "");
    };
  }

  /**
   * @param {HTMLElement} part
   * @param {HTMLElement} [control] of this part
   */
  add(part, control = part) {
    control.tabIndex = -1;
    this.element.append(part);
    this.#stop.settle();
  }
}

/** The agents that are known, as a choice. */
export class KnownAgents {
  /** @type {Set<string>} */
  #names = new Set();

  /** @param {Iterable<string | null>} names */
  add(names) {
    for (const name of names) if (name) this.#names.add(name);
  }

  /** @returns {Option[]} */
  get options() {
    const names = [...this.#names].sort();
    return [["", "Any agent"], ...names.map((name) => /** @type {Option} */ ([name, name]))];
  }
}
