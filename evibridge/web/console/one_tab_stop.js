/** A row of buttons with one tab stop: arrows go from one to the next. */

/**
 * Where a key leads to, -1 for nowhere. Pure.
 *
 * @param {string} key
 * @param {number} index
 * @param {number} count
 */
export function nextOf(key, index, count) {
  if (index < 0) return -1;
  if (key === "Home") return 0;
  if (key === "End") return count - 1;
  if (key === "ArrowRight" || key === "ArrowDown") return (index + 1) % count;
  if (key === "ArrowLeft" || key === "ArrowUp") return (index + count - 1) % count;
  return -1;
}

/**
 * @param {HTMLElement} row
 * @param {(arrived: HTMLElement) => void} [onArrive] an arrow has brought the focus there
 */
export function makeOneTabStop(row, onArrive) {
  row.addEventListener("focusin", ({ target }) => settleTabStop(row, target));
  row.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const controls = shownIn(row);
    const at = controls.findIndex((control) => control === document.activeElement);
    const next = controls[nextOf(event.key, at, controls.length)];
    if (!next) return;
    event.preventDefault();
    next.focus();
    onArrive?.(next);
  });
  settleTabStop(row);
}

/**
 * To be called after buttons came or went.
 *
 * @param {HTMLElement} row
 * @param {EventTarget | null} [wanted]
 */
export function settleTabStop(row, wanted = null) {
  const controls = shownIn(row);
  const stop = controls.find((control) => control === wanted)
    ?? controls.find((control) => control.getAttribute("tabindex") === "0")
    ?? controls[0];
  for (const control of controls) {
    const tabIndex = control === stop ? "0" : "-1";
    if (control.getAttribute("tabindex") !== tabIndex) control.setAttribute("tabindex", tabIndex);
  }
}

/** @param {HTMLElement} row */
function shownIn(row) {
  return [...row.querySelectorAll("button")].filter((control) => !control.hidden);
}
