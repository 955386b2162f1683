/** Over which loudness is measured. */
export const WINDOW_S = 0.05;

/**
 * Loudness, RMS from 0 to 1.
 *
 * @param {Float32Array} samples from -1 to 1
 * @param {number} count how many of the last ones are looked at
 */
export function rms(samples, count) {
  let sum = 0;
  for (let at = samples.length - count; at < samples.length; at += 1) sum += samples[at] * samples[at];
  return Math.min(1, Math.sqrt(sum / count));
}

/**
 * The smallest size that an AnalyserNode takes and that holds so many samples.
 *
 * @param {number} count
 */
export const analyserSize = (count) => 2 ** Math.max(5, Math.ceil(Math.log2(count)));

/** Measures what flows through a graph. */
export class Meter {
  #source;
  #analyser;
  #samples;
  #count;

  /** @param {AudioNode} source */
  constructor(source) {
    const { context } = source;
    this.#count = Math.round(context.sampleRate * WINDOW_S);
    this.#source = source;
    this.#analyser = new AnalyserNode(context, { fftSize: analyserSize(this.#count) });
    this.#samples = new Float32Array(this.#analyser.fftSize);
    source.connect(this.#analyser);
  }

  /** Loudness of the last 50 ms. */
  level() {
    this.#analyser.getFloatTimeDomainData(this.#samples);
    return rms(this.#samples, this.#count);
  }

  close() {
    this.#source.disconnect();
  }
}
