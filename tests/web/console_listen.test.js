import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { processors } from "./worklet_scope.js";

globalThis.sampleRate = 48000;
const { FADE_S, FAR, JitterBuffer, LEAD_S, MAX_QUEUED_S, NEAR } = await import(
  "../../evibridge/web/console/listen_worklet.js"
);
const { Listener } = await import("../../evibridge/web/console/listen.js");

const RATE_HZ = 8000;
const OUTPUT_HZ = 48000;
const LOUD = 16384;
const FADE = FADE_S * OUTPUT_HZ;

/** So much of a call, each side at one level. */
const sound = (seconds, caller, agent, rateHz = RATE_HZ) =>
  Int16Array.from({ length: 2 * Math.round(seconds * rateHz) }, (_, at) => (at % 2 ? agent : caller));

/** What is heard in so many seconds, in both ears. */
function hear(buffer, seconds, isCallerOnly) {
  const size = Math.round(seconds * OUTPUT_HZ);
  const ears = [new Float32Array(size).fill(NaN), new Float32Array(size).fill(NaN)];
  for (let at = 0; at < size; at += 128) {
    buffer.play(...ears.map((ear) => ear.subarray(at, at + 128)), isCallerOnly);
  }
  return ears;
}

const near = (value, wanted) => Math.abs(value - wanted) < 1e-3;
const isSilent = (ear) => ear.every((value) => value === 0);
const steepest = (ear) => ear.reduce((most, value, at) => Math.max(most, Math.abs(value - (ear[at - 1] ?? 0))), 0);

// The sound

test("the caller is heard a little to the left, and the agent to the right", () => {
  for (const [caller, agent, left, right] of [
    [LOUD, 0, NEAR / 2, FAR / 2],
    [0, LOUD, FAR / 2, NEAR / 2],
  ]) {
    const buffer = new JitterBuffer(RATE_HZ, OUTPUT_HZ);
    buffer.queue(sound(0.2, caller, agent));
    const ears = hear(buffer, 0.1);
    assert.ok(near(ears[0].at(-1), left) && near(ears[1].at(-1), right));
  }
});

test("two who shout at once are not clipped", () => {
  const buffer = new JitterBuffer(RATE_HZ, OUTPUT_HZ);
  buffer.queue(sound(0.2, 32767, 32767));
  for (const ear of hear(buffer, 0.1)) assert.ok(ear.every((value) => value <= 1));
});

test("the caller alone is heard in the middle", () => {
  const buffer = new JitterBuffer(RATE_HZ, OUTPUT_HZ);
  buffer.queue(sound(0.2, LOUD, -LOUD));
  for (const ear of hear(buffer, 0.1, true)) assert.ok(near(ear.at(-1), 0.5));
});

test("nothing is heard before the lead is there", () => {
  const buffer = new JitterBuffer(RATE_HZ, OUTPUT_HZ);
  buffer.queue(sound(LEAD_S - 0.01, LOUD, LOUD));
  assert.ok(hear(buffer, 0.3).every(isSilent));
  buffer.queue(sound(0.01, LOUD, LOUD));
  assert.ok(!isSilent(hear(buffer, 0.05)[0]));
});

test("pieces that come less than the lead late are heard without a gap", () => {
  const buffer = new JitterBuffer(RATE_HZ, OUTPUT_HZ);
  buffer.queue(sound(0.15, LOUD, LOUD));
  const heard = [...hear(buffer, 0.05)[0]];
  for (let piece = 0; piece < 10; piece += 1) {
    heard.push(...hear(buffer, 0.05)[0]);
    buffer.queue(sound(0.05, LOUD, LOUD));
  }
  assert.ok(heard.slice(FADE).every((value) => near(value, 0.5)));
});

test("all that comes is heard at its own speed, whatever the rates", () => {
  for (const [rateHz, outputHz] of [[8000, 48000], [16000, 44100], [24000, 48000], [48000, 44100]]) {
    const buffer = new JitterBuffer(rateHz, outputHz);
    const tone = sound(0.5, 0, 0, rateHz);
    for (let at = 0; at < tone.length; at += 2) tone[at] = LOUD * Math.sin((2 * Math.PI * 400 * at) / 2 / rateHz);
    buffer.queue(tone);
    const [left, right] = [new Float32Array(outputHz), new Float32Array(outputHz)];
    buffer.play(left, right);
    const rises = left.filter((value, at) => at > 0 && left[at - 1] < 0 && value >= 0).length;
    assert.ok(Math.abs(rises - 200) <= 1, `${rises} periods of ${rateHz} Hz`);
    assert.ok(isSilent(left.subarray(outputHz * 0.5 + 1)));
    // Between two samples a line is drawn: no step is larger than the tone's own.
    assert.ok(steepest(left) < 1.05 * NEAR * 0.5 * 2 * Math.PI * 400 / Math.min(rateHz, outputHz));
  }
});

test("sound that runs dry fades out, and the next one waits for its lead and fades in", () => {
  const buffer = new JitterBuffer(RATE_HZ, OUTPUT_HZ);
  buffer.queue(sound(0.2, LOUD, LOUD));
  const first = hear(buffer, 0.3)[0];
  assert.ok(steepest(first) <= 0.5 / FADE + 1e-6);
  assert.equal(first.at(-1), 0);
  buffer.queue(sound(LEAD_S - 0.01, LOUD, LOUD));
  assert.ok(isSilent(hear(buffer, 0.1)[0]));
  buffer.queue(sound(0.1, LOUD, LOUD));
  const second = hear(buffer, 0.1)[0];
  assert.ok(steepest(second) <= 0.5 / FADE + 1e-6);
  assert.ok(near(second.at(-1), 0.5));
});

test("what is more than 0.6 s late is dropped, so that the present is heard", () => {
  for (const pieces of [[0.4, 0.4], [1.5]]) {
    const buffer = new JitterBuffer(RATE_HZ, OUTPUT_HZ);
    for (const seconds of pieces) buffer.queue(sound(seconds, 1000, 1000));
    buffer.queue(sound(LEAD_S / 2, LOUD, LOUD));
    const heard = hear(buffer, MAX_QUEUED_S)[0];
    const loudAt = heard.findIndex((value) => value > 0.4);
    assert.ok(loudAt > 0 && loudAt < (LEAD_S + 0.01) * OUTPUT_HZ, `${loudAt} of ${pieces}`);
  }
});

test("what is within 0.6 s is all heard", () => {
  const buffer = new JitterBuffer(RATE_HZ, OUTPUT_HZ);
  buffer.queue(sound(MAX_QUEUED_S, LOUD, LOUD));
  const heard = hear(buffer, 1)[0].filter((value) => value !== 0).length;
  assert.ok(Math.abs(heard - MAX_QUEUED_S * OUTPUT_HZ) < 10);
});

test("the worklet plays what the page posts, from the newest connection", () => {
  const processor = new (processors.get("evibridge-listen"))();
  const post = (data) => processor.port.onmessage({ data });
  const play = () => {
    const ears = [new Float32Array(4800), new Float32Array(4800)];
    assert.equal(processor.process([], [ears]), true);
    return ears;
  };
  assert.ok(play().every(isSilent), "before anything came");
  post({ isCallerOnly: true });
  post({ rateHz: RATE_HZ });
  post(sound(0.3, LOUD, 0).buffer);
  assert.ok(play().every((ear) => near(ear.at(-1), 0.5)));
  post({ isCallerOnly: false });
  assert.ok(near(play()[1].at(-1), FAR / 2));
  post({ rateHz: 16000 });
  assert.ok(play().every(isSilent), "the rest of the first");
});

// The connection

const world = { sockets: [], contexts: [], players: [], told: [] };

class FakeContext {
  state = "running";
  destination = {};
  audioWorklet = { addModule: async () => {} };
  constructor() {
    world.contexts.push(this);
  }
  async resume() {}
  async close() {
    this.state = "closed";
  }
}

class FakeSocket {
  constructor(url, protocols) {
    Object.assign(this, { url, protocols, isClosed: false });
    world.sockets.push(this);
  }
  hello() {
    this.onmessage({ data: JSON.stringify({ type: "audio", rate_hz: RATE_HZ, channels: 2, encoding: "linear16" }) });
  }
  end(code) {
    this.onclose?.({ code });
  }
  close() {
    this.isClosed = true;
  }
}

class FakePlayer {
  posted = [];
  port = { postMessage: (message) => this.posted.push(message) };
  constructor(_context, name, options) {
    Object.assign(this, { name, options });
    world.players.push(this);
  }
  connect() {}
}

beforeEach(() => {
  mock.timers.reset();
  mock.timers.enable({ apis: ["setTimeout"] });
  for (const list of Object.values(world)) list.length = 0;
  Object.assign(globalThis, {
    document: new EventTarget(),
    AudioContext: FakeContext,
    AudioWorkletNode: FakePlayer,
    WebSocket: FakeSocket,
  });
});

const URL_OF_SOUND = "wss://example.com/v1/calls/c1/audio";
const PROTOCOLS = ["evibridge", "bearer.abc"];

function newListener() {
  const onState = (state, sentence) => world.told.push([state, sentence]);
  return new Listener({ url: URL_OF_SOUND, protocols: PROTOCOLS, onState });
}

async function listening() {
  const listener = newListener();
  await listener.start();
  world.sockets[0].hello();
  return listener;
}

const states = () => world.told.map(([state]) => state);

test("a call is heard once the service tells what comes", async () => {
  const listener = newListener();
  await listener.start();
  assert.deepEqual(world.told, [["connecting", ""]]);
  const [socket] = world.sockets;
  assert.deepEqual([socket.url, socket.protocols, socket.binaryType], [URL_OF_SOUND, PROTOCOLS, "arraybuffer"]);
  socket.hello();
  assert.deepEqual(states(), ["connecting", "on"]);
  const piece = sound(0.05, LOUD, 0).buffer;
  socket.onmessage({ data: piece });
  const [player] = world.players;
  assert.deepEqual(player.posted, [{ isCallerOnly: false }, { rateHz: RATE_HZ }, piece]);
  assert.deepEqual(player.options.outputChannelCount, [2]);
});

test("a second start changes nothing", async () => {
  const listener = await listening();
  await listener.start();
  assert.equal(world.sockets.length, 1);
});

test("the side that is heard can be chosen before and while a call is heard", async () => {
  const listener = newListener();
  listener.side = "caller";
  await listener.start();
  listener.side = "both";
  assert.deepEqual(world.players[0].posted, [{ isCallerOnly: true }, { isCallerOnly: false }]);
  assert.equal(listener.side, "both");
});

test("stopping releases connection and sound", async () => {
  const listener = await listening();
  listener.stop();
  assert.ok(world.sockets[0].isClosed);
  assert.equal(world.contexts[0].state, "closed");
  assert.deepEqual(world.told.at(-1), ["off", ""]);
  listener.stop();
  assert.equal(world.told.length, 3, "what has stopped is not told again");
  await listener.start();
  world.sockets[1].hello();
  assert.equal(states().at(-1), "on");
});

test("who stops while the worklet is loaded never connects", async () => {
  const listener = newListener();
  const started = listener.start();
  listener.stop();
  await started;
  assert.deepEqual([world.sockets.length, states()], [0, ["connecting", "off"]]);
});

test("the end of the call is no failure", async () => {
  await listening();
  world.sockets[0].end(1000);
  assert.deepEqual(world.told.at(-1), ["off", ""]);
  assert.equal(world.contexts[0].state, "closed");
});

test("who is refused is told so, and asks no more", async () => {
  await newListener().start();
  world.sockets[0].end(1006);
  const [state, sentence] = world.told.at(-1);
  assert.equal(state, "failed");
  assert.match(sentence, /^The sound of this call cannot be heard: .+\.$/);
  mock.timers.tick(60_000);
  assert.equal(world.sockets.length, 1);
});

test("a connection that is lost is tried once more, after a second", async () => {
  await listening();
  world.sockets[0].end(1006);
  assert.equal(states().at(-1), "connecting");
  mock.timers.tick(999);
  assert.equal(world.sockets.length, 1);
  mock.timers.tick(1);
  world.sockets[1].end(1006);
  assert.equal(states().at(-1), "failed");
  mock.timers.tick(60_000);
  assert.equal(world.sockets.length, 2);
});

test("a connection that came back is heard by the same player", async () => {
  await listening();
  world.sockets[0].end(1006);
  mock.timers.tick(1000);
  world.sockets[1].hello();
  assert.deepEqual(states(), ["connecting", "on", "connecting", "on"]);
  assert.equal(world.players.length, 1);
});

test("a link from which nothing comes any more counts as lost", async () => {
  await listening();
  mock.timers.tick(4000);
  world.sockets[0].onmessage({ data: sound(0.05, 0, 0).buffer });
  mock.timers.tick(4000);
  assert.equal(states().at(-1), "on");
  mock.timers.tick(1000);
  assert.equal(states().at(-1), "connecting");
  assert.ok(world.sockets[0].isClosed);
});

test("who stops while a lost connection waits is not connected any more", async () => {
  const listener = await listening();
  world.sockets[0].end(1006);
  listener.stop();
  mock.timers.tick(60_000);
  assert.deepEqual([world.sockets.length, states().at(-1)], [1, "off"]);
});

test("a page that cannot play sound says why", async () => {
  globalThis.AudioContext = class extends FakeContext {
    audioWorklet = undefined;
  };
  await newListener().start();
  assert.equal(states().at(-1), "failed");
  assert.match(world.told.at(-1)[1], /^The sound of this call cannot be heard: .*https/);
  assert.equal(world.sockets.length, 0);
});

test("messages of another kind are passed over", async () => {
  await newListener().start();
  for (const data of ["junk", "{}", '{"type":"other"}']) world.sockets[0].onmessage({ data });
  assert.deepEqual(states(), ["connecting"]);
});
