/**
 * The microphone's samples as frames of 20 ms, int16 mono PCM at the rate of the context, which are
 * posted to the page.
 *
 * Worklets import nothing: not all browsers let them.
 */

const FRAMES_PER_S = 50;

/** Cuts samples into frames. */
export class FrameCutter {
  #length;
  #frame;
  #filled = 0;

  /** @param {number} rateHz */
  constructor(rateHz) {
    this.#length = Math.round(rateHz / FRAMES_PER_S);
    this.#frame = new Int16Array(this.#length);
  }

  /**
   * @param {Float32Array} samples from -1 to 1; what is beyond is clipped
   * @param {(frame: Int16Array) => void} onFrame is given each full frame, to keep or to hand on
   */
  cut(samples, onFrame) {
    for (const sample of samples) {
      const scaled = Math.round(sample * 32768);
      this.#frame[this.#filled] = scaled > 32767 ? 32767 : scaled < -32768 ? -32768 : scaled;
      this.#filled += 1;
      if (this.#filled === this.#length) {
        onFrame(this.#frame);
        this.#frame = new Int16Array(this.#length);
        this.#filled = 0;
      }
    }
  }
}

class CaptureProcessor extends AudioWorkletProcessor {
  #cutter = new FrameCutter(sampleRate);
  #post = (/** @type {Int16Array} */ frame) => this.port.postMessage(frame.buffer, [frame.buffer]);

  /** @param {Float32Array[][]} inputs */
  process([input]) {
    if (input.length > 0) this.#cutter.cut(input[0], this.#post);
    return true;
  }
}

registerProcessor("evibridge-capture", CaptureProcessor);
