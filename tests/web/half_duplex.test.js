import assert from "node:assert/strict";
import { test } from "node:test";

import {
  Audible,
  HEARD_LEVEL,
  HalfDuplexGate,
  SHUT_FOR_S,
  SILENT_FOR_S,
  SILENT_LEVEL,
} from "../../evibridge/web/call/half_duplex.js";

test("the agent is heard once the sound is loud enough", () => {
  const audible = new Audible();
  assert.equal(audible.update(HEARD_LEVEL / 2, 0), false);
  assert.equal(audible.isHeard, false);
  assert.equal(audible.update(HEARD_LEVEL, 0.05), true);
  assert.equal(audible.isHeard, true);
});

test("quiet sounds do not end what was begun by a loud one", () => {
  const audible = new Audible();
  audible.update(HEARD_LEVEL, 0);
  assert.equal(audible.update(SILENT_LEVEL, 10), false);
  assert.equal(audible.isHeard, true);
});

test("a pause between words is not the end", () => {
  const audible = new Audible();
  audible.update(0.2, 0);
  assert.equal(audible.update(0, SILENT_FOR_S - 0.01), false);
  assert.equal(audible.update(0.2, SILENT_FOR_S), false);
  assert.equal(audible.update(0, 2 * SILENT_FOR_S), true);
  assert.equal(audible.isHeard, false);
});

test("the microphone is shut while the agent is heard, and a moment longer", () => {
  const gate = new HalfDuplexGate();
  assert.equal(gate.isOpen(false, 0), true);
  assert.equal(gate.isOpen(true, 1), false);
  assert.equal(gate.isOpen(false, 1 + SHUT_FOR_S / 2), false);
  assert.equal(gate.isOpen(false, 1 + SHUT_FOR_S), true);
});
