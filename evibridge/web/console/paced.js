/** Draws with the next frame, but not more often than every so many milliseconds. */

import { eachFrame } from "./frame.js";

/**
 * @param {() => void} draw
 * @param {number} everyMs
 * @returns {() => void} asks for it
 */
export function paced(draw, everyMs) {
  let drawnAt = -Infinity;
  let isWaiting = false;
  const next = eachFrame(() => {
    drawnAt = performance.now();
    draw();
  });
  return () => {
    if (isWaiting) return;
    const waitMs = drawnAt + everyMs - performance.now();
    isWaiting = true;
    setTimeout(() => {
      isWaiting = false;
      next();
    }, waitMs);
  };
}
