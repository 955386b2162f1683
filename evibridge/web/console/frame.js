/**
 * Draw with the next frame, once, however often it is asked for. A hidden tab has no frames and draws nothing.
 *
 * @param {() => void} draw
 * @returns {() => void} asks for it
 */
export function eachFrame(draw) {
  let isDue = false;
  return () => {
    if (isDue) return;
    isDue = true;
    requestAnimationFrame(() => {
      isDue = false;
      draw();
    });
  };
}
