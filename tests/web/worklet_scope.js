/** The scope in which a browser runs worklets, as far as they use it. Import it before them. */

/** What was posted to the page, each with what was handed over with it. */
export const posted = [];
/** Processors by the name under which they are known. */
export const processors = new Map();

globalThis.sampleRate = 16000;
globalThis.AudioWorkletProcessor = class {
  port = {
    onmessage: null,
    postMessage: (message, transfer = []) => posted.push(structuredClone(message, { transfer })),
  };
};
globalThis.registerProcessor = (name, processor) => processors.set(name, processor);
