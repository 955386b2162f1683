import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { Microphone } from "../../evibridge/web/call/microphone.js";

/** What the browser was asked for, and what it hands out: streams, or names of errors. */
let asked, answers, lost, microphone;

function newStream() {
  const track = { enabled: true, isStopped: false, onended: null, stop: () => (track.isStopped = true) };
  return { track, getTracks: () => [track], getAudioTracks: () => [track] };
}

function browser(mediaDevices) {
  Object.defineProperty(globalThis, "navigator", { value: { mediaDevices }, configurable: true });
}

beforeEach(() => {
  [asked, answers, lost] = [[], [], 0];
  microphone = new Microphone(() => (lost += 1));
  browser({
    async getUserMedia({ audio }) {
      asked.push(audio);
      const answer = (await answers.shift()) ?? newStream();
      if (typeof answer === "string") throw new DOMException("as the browser says", answer);
      return answer;
    },
  });
});

afterEach(() => microphone.close());

const CLEAN = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

test("echo and noise are taken out, and a certain device is asked for by name", async () => {
  await microphone.open(true);
  await microphone.open("headset");
  assert.deepEqual(asked, [CLEAN, { ...CLEAN, deviceId: { exact: "headset" } }]);
});

for (const [name, code] of [
  ["NotAllowedError", "microphone_refused"],
  ["NotFoundError", "microphone_missing"],
  ["OverconstrainedError", "microphone_missing"],
  ["NotReadableError", "microphone_busy"],
  ["AbortError", "microphone_busy"],
  ["SecurityError", "insecure_page"],
  ["UnheardOfError", "microphone_busy"],
]) {
  test(`${name} is told as ${code}, in a sentence`, async () => {
    answers.push(name);
    await assert.rejects(microphone.open(true), (error) => error.code === code && /^[A-Z].+[.)]$/.test(error.message));
  });
}

test("a page that came without encryption has no microphone", async () => {
  browser(undefined);
  await assert.rejects(microphone.open(true), { code: "insecure_page" });
});

test("another microphone takes the place of the first, and is muted as that was", async () => {
  const first = await microphone.open(true);
  microphone.enable(false);
  const second = await microphone.open("headset");
  assert.equal(first.track.isStopped, true);
  assert.equal(second.track.enabled, false);
  assert.equal(microphone.stream, second);
});

test("where a microphone cannot be had, the first goes on", async () => {
  const first = await microphone.open(true);
  answers.push("NotFoundError");
  await assert.rejects(microphone.open("headset"), { code: "microphone_missing" });
  assert.equal(first.track.isStopped, false);
  assert.equal(microphone.stream, first);
});

test("a system that opens one at a time is asked again without the first", async () => {
  const first = await microphone.open(true);
  answers.push("NotReadableError");
  const second = await microphone.open("headset");
  assert.equal(first.track.isStopped, true);
  assert.equal(microphone.stream, second);
});

test("of two microphones that are asked for the last one is used, whichever comes first", async () => {
  for (const order of [[0, 1], [1, 0]]) {
    microphone = new Microphone(() => {});
    const streams = [newStream(), newStream()];
    const give = [];
    answers.push(...streams.map((stream) => new Promise((resolve) => give.push(() => resolve(stream)))));
    const opening = [microphone.open("first"), microphone.open("second")];
    for (const at of order) {
      give[at]();
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.deepEqual(await Promise.all(opening), [null, streams[1]]);
    assert.deepEqual(streams.map(({ track }) => track.isStopped), [true, false]);
    assert.equal(microphone.stream, streams[1]);
  }
});

test("a microphone that nobody waits for any more may fail", async () => {
  let fail;
  answers.push(new Promise((resolve) => (fail = () => resolve("NotFoundError"))));
  const opening = microphone.open("first");
  const second = await microphone.open("second");
  fail();
  assert.equal(await opening, null);
  assert.equal(microphone.stream, second);
});

test("a device that goes away is told of; one that was closed is not", async () => {
  const stream = await microphone.open(true);
  stream.track.onended();
  assert.equal(lost, 1);
  microphone.close();
  assert.deepEqual([stream.track.onended, stream.track.isStopped, microphone.stream], [null, true, null]);
});

test("a microphone that is allowed when the call is over is switched off at once", async () => {
  const late = newStream();
  answers.push(late);
  const opening = microphone.open(true);
  microphone.close();
  await assert.rejects(opening, { code: "caller_hung_up" });
  assert.equal(late.track.isStopped, true);
});
