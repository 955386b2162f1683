/** A list of calls: arrows, Home and End go from row to row, Enter and a click open one. */

import { TabStop } from "./one_tab_stop.js";

export class Listbox {
  #box;
  #stop;
  /** @type {string | null} */
  #open = null;

  /**
   * @param {HTMLElement} box its rows are options, with the id of their call as `data-call`
   * @param {string} label
   * @param {(callId: string) => void} onOpen
   */
  constructor(box, label, onOpen) {
    this.#box = box;
    this.#stop = new TabStop(box, "[data-call]", { arrows: ["ArrowUp", "ArrowDown"] });
    box.setAttribute("role", "listbox");
    box.setAttribute("aria-label", label);
    openOnClick(box, onOpen);
    box.addEventListener("keydown", (event) => {
      const row = rowOf(event.target);
      if (!row || (event.key !== "Enter" && event.key !== " ")) return;
      event.preventDefault();
      onOpen(row.dataset.call ?? "");
    });
  }

  get rows() {
    return this.#stop.all;
  }

  /**
   * Mark the row of the open call.
   *
   * @param {string | null} callId
   */
  open(callId) {
    this.#open = callId;
    this.settle();
  }

  /** Rows have come or gone. */
  settle() {
    const { rows } = this;
    const open = rows.find((row) => row.dataset.call === this.#open);
    for (const row of rows) {
      const isOpen = String(row === open);
      if (row.getAttribute("aria-selected") !== isOpen) row.setAttribute("aria-selected", isOpen);
    }
    this.#stop.settle(this.#box.contains(document.activeElement) ? null : open);
  }

  /** @param {number} by */
  step(by) {
    const isHere = this.#stop.at === document.activeElement;
    // From elsewhere one goes on from the open row, or begins with the first.
    if (isHere || this.#stop.at?.dataset.call === this.#open) this.#stop.step(by);
    else this.focus();
  }

  focus() {
    this.#stop.at?.focus();
  }
}

/**
 * @param {EventTarget | null} target
 * @returns {HTMLElement | null | undefined}
 */
export function rowOf(target) {
  return /** @type {Element | null} */ (target)?.closest?.("[data-call]");
}

/**
 * @param {HTMLElement} box
 * @param {(callId: string) => void} onOpen
 */
export function openOnClick(box, onOpen) {
  box.addEventListener("click", (event) => {
    const row = rowOf(event.target);
    // With these keys a link opens elsewhere, and who drags over a number wants to copy it.
    const isSelecting = event.detail > 0 && getSelection()?.type === "Range";
    if (!row || event.ctrlKey || event.metaKey || event.shiftKey || isSelecting) return;
    event.preventDefault();
    onOpen(row.dataset.call ?? "");
  });
}
