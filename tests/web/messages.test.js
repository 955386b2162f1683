import assert from "node:assert/strict";
import { test } from "node:test";

import { parseMessage } from "../../evibridge/web/call/messages.js";

test("a message is an object with a type, whatever else it has", () => {
  assert.deepEqual(parseMessage('{"type":"ready","seq":7,"new":1}'), { type: "ready", seq: 7, new: 1 });
});

test("everything else is passed over", () => {
  for (const text of ["", "{", "null", "[]", '"ready"', '{"type":7}', '{"kind":"ready"}', new ArrayBuffer(2), undefined]) {
    assert.equal(parseMessage(text), null);
  }
});
