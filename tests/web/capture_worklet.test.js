import assert from "node:assert/strict";
import { test } from "node:test";

import { posted, processors } from "./worklet_scope.js";

const { FrameCutter } = await import("../../evibridge/web/call/capture_worklet.js");

const BLOCK = 128;

/** Cut `samples` as a browser hands them over, in blocks. */
function cut(cutter, samples) {
  const frames = [];
  for (let at = 0; at < samples.length; at += BLOCK) {
    cutter.cut(samples.subarray(at, at + BLOCK), (frame) => frames.push(frame));
  }
  return frames;
}

test("blocks of 128 samples become frames of 20 ms, none of them lost", () => {
  for (const rateHz of [16000, 44100, 48000]) {
    const samples = Float32Array.from({ length: rateHz }, (_, at) => Math.sin(at / 7) / 2);
    const frames = cut(new FrameCutter(rateHz), samples);
    assert.equal(frames.length, 50);
    assert.ok(frames.every((frame) => frame.length === rateHz / 50));
    const all = frames.flatMap((frame) => [...frame]);
    assert.ok(all.every((value, at) => value === Math.round(samples[at] * 32768)));
  }
});

test("what is too loud is clipped", () => {
  const samples = Float32Array.from({ length: 320 }, (_, at) => [1, -1, 3, -3][at % 4]);
  const [frame] = cut(new FrameCutter(16000), samples);
  assert.deepEqual([...frame.subarray(0, 4)], [32767, -32768, 32767, -32768]);
});

test("each frame is handed over to the page, and the next one is another", () => {
  const processor = new (processors.get("evibridge-capture"))();
  for (const level of [0.25, 0.5]) {
    const block = new Float32Array(320).fill(level);
    assert.equal(processor.process([[block]]), true);
  }
  assert.deepEqual(posted.splice(0).map((buffer) => [buffer.byteLength, new Int16Array(buffer)[319]]), [
    [640, 8192],
    [640, 16384],
  ]);
});

test("a microphone that is being changed brings nothing", () => {
  const processor = new (processors.get("evibridge-capture"))();
  assert.equal(processor.process([[]]), true);
  assert.deepEqual(posted, []);
});
