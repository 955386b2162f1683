/** Listens to a microphone while there is no call, so that the caller sees whether it works. */

const FFT_SIZE = 2048;

export class MicrophoneCheck {
  /** @type {MediaStream | null} */
  #stream = null;
  /** @type {AudioContext | null} */
  #context = null;
  /** @type {AnalyserNode | null} */
  #analyser = null;
  #samples;
  #attempt;

  constructor() {
    this.#samples = new Float32Array(FFT_SIZE);
    this.#attempt = 0;
  }

  /**
   * Open a microphone; rejects as the browser does.
   * @param {string} deviceId "" for the system's choice
   */
  async open(deviceId) {
    this.close();
    const attempt = this.#attempt;
    if (!navigator.mediaDevices) throw new DOMException("No microphone here.", "SecurityError");
    const audio = deviceId ? { deviceId: { ideal: deviceId } } : true;
    const stream = await navigator.mediaDevices.getUserMedia({ audio });
    if (attempt !== this.#attempt) {
      stop(stream); // closed, or another one was chosen, while the browser asked
      return;
    }
    this.#stream = stream;
    this.#context = new AudioContext();
    this.#analyser = this.#context.createAnalyser();
    this.#analyser.fftSize = FFT_SIZE;
    this.#context.createMediaStreamSource(stream).connect(this.#analyser);
  }

  get isOpen() {
    return this.#stream !== null;
  }

  close() {
    this.#attempt += 1;
    if (this.#stream) stop(this.#stream);
    this.#context?.close();
    this.#stream = this.#context = this.#analyser = null;
  }

  /** Root mean square of the last 2048 samples. */
  level() {
    if (!this.#analyser) return 0;
    this.#analyser.getFloatTimeDomainData(this.#samples);
    const sum = this.#samples.reduce((total, sample) => total + sample * sample, 0);
    return Math.sqrt(sum / FFT_SIZE);
  }
}

/**
 * What to do where none can be opened.
 * @param {unknown} error of `MicrophoneCheck.open`
 */
export function whyNot(error) {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError") return "Your browser did not let this page use the microphone.";
  if (name === "SecurityError") return "Browsers give the microphone to pages under https:// only.";
  return "No microphone can be opened. Plug one in, or close the program that uses it.";
}

/** @param {MediaStream} stream */
function stop(stream) {
  for (const track of stream.getTracks()) track.stop();
}
