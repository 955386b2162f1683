/**
 * Runs in each page before its own scripts, and keeps what a person would notice: what is heard,
 * and what the service says. It changes nothing of what the page does.
 */
(() => {
  if (!isSecureContext) return; // an empty page, on which nothing happens
  /** Nobody speaks below this level. */
  const QUIET = 0.01;
  /** One for each thing that sounds. @type {{rateHz: number, pieces: Int16Array[], arrivedMs: number[]}[]} */
  const recordings = [];
  /** What the service said. @type {{atMs: number, message: any}[]} */
  const messages = [];
  /** Who waits for messages. @type {(() => void)[]} */
  const waiting = [];
  /** Page time of the last sound that was no silence. */
  let loudMs = 0;
  /** @type {PromiseWithResolvers<number>} */
  const microphone = Promise.withResolvers();
  const observed = {
    /** @type {RTCPeerConnection[]} */
    peers: [],
    /** @type {string[]} */
    violations: [],

    /** What screen readers were told. @type {string[]} */
    announced: [],

    /** What was heard so far. */
    sounds: () => recordings.map(({ rateHz, pieces, arrivedMs }) => ({ rateHz, arrivedMs, base64: base64(pieces) })),

    /** The `times`th message with these members that came after a page time, once it has come. */
    async message(/** @type {any} */ wanted, /** @type {number} */ times, /** @type {number} */ afterMs) {
      const members = Object.entries(wanted);
      for (;;) {
        const found = messages.filter(
          ({ atMs, message }) => atMs > afterMs && members.every(([name, value]) => message[name] === value),
        );
        if (found.length >= times) return found[times - 1];
        await new Promise((resolve) => waiting.push(() => resolve(undefined)));
      }
    },

    /** Page time at which the microphone's file has played so many seconds; resolves then. */
    async microphoneAt(/** @type {number} */ seconds) {
      const atMs = (await microphone.promise) + seconds * 1000;
      await new Promise((resolve) => setTimeout(resolve, atMs - performance.now()));
      return atMs;
    },

    /** Page time of the last sound, once so much silence has followed it. */
    async silence(/** @type {number} */ ms) {
      while (performance.now() < loudMs + ms) {
        await new Promise((resolve) => setTimeout(resolve, loudMs + ms - performance.now()));
      }
      return loudMs;
    },
  };
  Object.defineProperty(window, "observed", { value: observed });

  document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) =>
    observed.violations.push(`${violatedDirective} forbids ${blockedURI}`),
  );

  new MutationObserver(() => {
    const told = document.querySelector("[role=status]")?.textContent;
    if (told && told !== observed.announced.at(-1)) observed.announced.push(told);
  }).observe(document, { childList: true, characterData: true, subtree: true });

  /** Keep what a track plays, as int16 mono. */
  async function record(/** @type {MediaStreamTrack} */ track) {
    const { readable } = new MediaStreamTrackProcessor({ track });
    const reader = readable.getReader();
    /** @type {typeof recordings[0]} */
    const recording = { rateHz: 0, pieces: [], arrivedMs: [] };
    recordings.push(recording);
    for (let read = await reader.read(); read.value; read = await reader.read()) {
      const sound = read.value;
      const samples = new Float32Array(sound.numberOfFrames);
      sound.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
      if (samples.some((sample) => Math.abs(sample) > QUIET)) loudMs = performance.now();
      recording.rateHz = sound.sampleRate;
      recording.arrivedMs.push(performance.now());
      recording.pieces.push(Int16Array.from(samples, (sample) => Math.max(-32768, Math.min(32767, sample * 32768))));
      sound.close();
    }
  }

  function base64(/** @type {Int16Array[]} */ pieces) {
    return btoa(pieces.map((piece) => String.fromCharCode(...new Uint8Array(piece.buffer))).join(""));
  }

  function heed(/** @type {MessageEvent} */ { data }) {
    if (typeof data !== "string") return;
    messages.push({ atMs: performance.now(), message: JSON.parse(data) });
    for (const wake of waiting.splice(0)) wake();
  }

  // By WebRTC an element plays the agent.
  const source = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, "srcObject");
  Object.defineProperty(HTMLMediaElement.prototype, "srcObject", {
    ...source,
    set(stream) {
      source.set.call(this, stream);
      for (const track of stream?.getAudioTracks() ?? []) record(track);
    },
  });

  // By WebSocket a graph does: whatever leads to its speaker is heard.
  const taps = new WeakMap();
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (target, ...channels) {
    if (target instanceof AudioDestinationNode) {
      const { context } = this;
      if (!taps.has(context)) {
        const tap = new MediaStreamAudioDestinationNode(context, { channelCount: 1 });
        taps.set(context, tap);
        record(tap.stream.getAudioTracks()[0]);
      }
      connect.call(this, taps.get(context));
    }
    return connect.call(this, target, ...channels);
  };

  const open = MediaDevices.prototype.getUserMedia;
  MediaDevices.prototype.getUserMedia = async function (constraints) {
    const stream = await open.call(this, constraints);
    microphone.resolve(performance.now());
    return stream;
  };

  window.WebSocket = class extends WebSocket {
    constructor(...address) {
      super(...address);
      this.addEventListener("message", heed);
    }
  };
  window.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...configuration) {
      super(...configuration);
      observed.peers.push(this);
    }

    createDataChannel(...how) {
      const channel = super.createDataChannel(...how);
      channel.addEventListener("message", heed);
      return channel;
    }
  };
})();
