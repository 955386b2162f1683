import assert from "node:assert/strict";
import { test } from "node:test";

import { analyserSize, rms } from "../../evibridge/web/call/levels.js";

test("silence has no loudness, and a square wave its own height", () => {
  assert.equal(rms(new Float32Array(100), 100), 0);
  assert.equal(rms(Float32Array.from({ length: 100 }, (_, at) => (at % 2 ? 0.5 : -0.5)), 100), 0.5);
});

test("only the last samples count", () => {
  const samples = new Float32Array(100).fill(1, 0, 50);
  assert.equal(rms(samples, 50), 0);
});

test("what is too loud counts as the loudest", () => {
  assert.equal(rms(new Float32Array(10).fill(3), 10), 1);
});

test("an analyser has room for 50 ms at each rate, in a size that browsers take", () => {
  for (const rateHz of [8000, 16000, 24000, 44100, 48000, 96000, 192000]) {
    const size = analyserSize(rateHz / 20);
    assert.ok(size >= rateHz / 20 && size <= 32768 && Number.isInteger(Math.log2(size)));
  }
  assert.equal(analyserSize(1), 32);
});
