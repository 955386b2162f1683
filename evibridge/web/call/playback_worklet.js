/**
 * Plays the agent's audio, int16 mono PCM at the rate of the context, as the page posts it.
 *
 * From the page: an ArrayBuffer of audio, {mark: name} or "clear". To the page:
 * {marks: names} that were played or dropped, and once a second {underruns}: the page's clock in
 * hidden tabs, whose timers browsers slow down.
 *
 * Worklets import nothing: not all browsers let them.
 */

/** The service sends 0.4 s ahead; what is beyond this is dropped. */
export const MAX_QUEUED_S = 10;
/** After a silence this much is gathered first, or waited for: the network is not even. */
export const LEAD_S = 0.04;
/** Audio that ends fades out in this time, and what follows fades in: no click. */
export const FADE_S = 0.005;
/** Audio that goes on sooner, after the queue was empty without a mark at its end, was late. */
export const LATE_WITHIN_S = 0.5;
/** The service has a few in flight; of more, the oldest are dropped. */
export const MAX_MARKS = 1000;

/** The agent's audio that waits to be heard. */
export class PlaybackRing {
  #samples;
  #leadSamples;
  #fadeSamples;
  #lateSamples;
  /** Samples that were queued, and played or dropped, since the beginning. */
  #written = 0;
  #read = 0;
  /** @type {{name: string, at: number}[]} */
  #marks = [];
  #isPlaying = false;
  /** Whether the audio that is queued fades out at its end. */
  #isFaded = false;
  /** Samples of silence that were played while the queue waited for its lead. */
  #waited = 0;
  /** Those since the queue was empty in the middle of something; infinite if nothing is missing. */
  #missing = Infinity;
  /** Where audio is known to end: at the last mark. */
  #endAt = 0;
  /** Gaps in the middle. */
  underruns = 0;
  /** Samples, and marks, that found no room. */
  dropped = 0;
  droppedMarks = 0;

  /** @param {number} rateHz */
  constructor(rateHz) {
    this.#samples = new Int16Array(rateHz * MAX_QUEUED_S);
    this.#leadSamples = rateHz * LEAD_S;
    this.#fadeSamples = Math.round(rateHz * FADE_S);
    this.#lateSamples = rateHz * LATE_WITHIN_S;
  }

  /** Samples that wait. */
  get queued() {
    return this.#written - this.#read;
  }

  /** @param {Int16Array} pcm */
  queue(pcm) {
    if (this.#missing < this.#lateSamples) this.underruns += 1;
    this.#missing = Infinity;
    const size = this.#samples.length;
    const kept = Math.min(pcm.length, size - this.queued);
    this.dropped += pcm.length - kept;
    const at = this.#written % size;
    const first = Math.min(kept, size - at);
    this.#samples.set(pcm.subarray(0, first), at);
    this.#samples.set(pcm.subarray(first, kept), 0);
    this.#written += kept;
    if (this.#isFaded) this.#fadeIn(kept);
  }

  /**
   * Remember a place in the audio: behind all that is queued.
   *
   * @param {string} name
   */
  mark(name) {
    if (this.#marks.length === MAX_MARKS) {
      this.#marks.shift();
      this.droppedMarks += 1;
    }
    this.#marks.push({ name, at: this.#written });
    this.#endsHere();
  }

  /** Drop what waits; what is being heard fades out. Returns the marks in it. */
  clear() {
    const kept = this.#isPlaying ? Math.min(this.#fadeSamples, this.queued) : 0;
    this.#written = this.#read + kept;
    this.#fadeOut(kept);
    this.#isPlaying = kept > 0;
    this.#waited = 0;
    this.#endsHere();
    return this.#marks.splice(0).map(({ name }) => name);
  }

  /**
   * Fill `output`, with silence where nothing is to be heard. Returns the marks that are reached.
   *
   * @param {Float32Array} output
   */
  play(output) {
    const { queued } = this;
    if (!this.#isPlaying && queued > 0) {
      this.#waited += output.length;
      this.#isPlaying = queued >= this.#leadSamples || this.#waited >= this.#leadSamples;
    }
    // Nothing may come before the queue is empty. If something does, that was a dip, which nobody hears.
    const isShort = queued < output.length + this.#fadeSamples;
    if (this.#isPlaying && isShort && !this.#isFaded) this.#fadeOut(Math.min(queued, this.#fadeSamples));
    const count = this.#isPlaying ? Math.min(queued, output.length) : 0;
    for (let at = 0; at < count; at += 1) {
      output[at] = this.#samples[(this.#read + at) % this.#samples.length] / 32768;
    }
    output.fill(0, count);
    this.#read += count;
    if (count < output.length && queued === count) this.#runDry(output.length - count);
    return this.#reached();
  }

  /** @param {number} silent samples */
  #runDry(silent) {
    if (this.#isPlaying && this.#read !== this.#endAt) this.#missing = 0;
    this.#isPlaying = false;
    this.#waited = 0;
    this.#missing += silent;
  }

  /** @param {number} count of samples, the last of the queue */
  #fadeOut(count) {
    for (let left = 0; left < count; left += 1) this.#scale(this.#written - 1 - left, left / count);
    this.#isFaded = true;
  }

  /** @param {number} kept how many samples follow what has faded out */
  #fadeIn(kept) {
    const count = Math.min(kept, this.#fadeSamples);
    for (let at = 0; at < count; at += 1) this.#scale(this.#written - kept + at, at / count);
    this.#isFaded = kept === 0;
  }

  /**
   * @param {number} at
   * @param {number} factor
   */
  #scale(at, factor) {
    this.#samples[at % this.#samples.length] *= factor;
  }

  #endsHere() {
    this.#endAt = this.#written;
    if (this.queued === 0) this.#missing = Infinity;
  }

  #reached() {
    const isAhead = this.#marks.findIndex(({ at }) => at > this.#read);
    return this.#marks.splice(0, isAhead < 0 ? this.#marks.length : isAhead).map(({ name }) => name);
  }
}

class PlaybackProcessor extends AudioWorkletProcessor {
  #ring = new PlaybackRing(sampleRate);
  #untilReport = sampleRate;

  constructor() {
    super();
    this.port.onmessage = ({ data }) => this.#receive(data);
  }

  /** @param {any} data */
  #receive(data) {
    if (data === "clear") this.#tell(this.#ring.clear());
    else if (data instanceof ArrayBuffer) this.#ring.queue(new Int16Array(data));
    else this.#ring.mark(data.mark);
  }

  /**
   * @param {Float32Array[][]} _inputs
   * @param {Float32Array[][]} outputs
   */
  process(_inputs, [[output]]) {
    this.#tell(this.#ring.play(output));
    this.#untilReport -= output.length;
    if (this.#untilReport <= 0) {
      this.#untilReport = sampleRate;
      this.port.postMessage({ underruns: this.#ring.underruns });
    }
    return true;
  }

  /** @param {string[]} marks */
  #tell(marks) {
    if (marks.length > 0) this.port.postMessage({ marks });
  }
}

registerProcessor("evibridge-playback", PlaybackProcessor);
