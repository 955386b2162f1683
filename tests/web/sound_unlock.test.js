import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { SoundUnlock } from "../../evibridge/web/call/sound_unlock.js";

let page, told, retried, unlock;
const first = () => retried.push("first");
const second = () => retried.push("second");
const click = () => page.dispatchEvent(new Event("pointerdown"));

beforeEach(() => {
  [page, told, retried] = [new EventTarget(), [], []];
  unlock = new SoundUnlock(page, () => told.push("blocked"));
});

test("the page is told once, whatever else is blocked then", () => {
  unlock.blocked(first);
  unlock.blocked(first);
  unlock.blocked(second);
  assert.deepEqual(told, ["blocked"]);
});

test("each gesture tries again all that is still blocked", () => {
  unlock.blocked(first);
  unlock.blocked(second);
  click();
  unlock.released(first);
  page.dispatchEvent(new Event("keydown"));
  assert.deepEqual(retried, ["first", "second", "second"]);
});

test("gestures are of no interest once there is sound, or the call is over", () => {
  unlock.blocked(first);
  unlock.released(first);
  unlock.released(second);
  click();
  unlock.blocked(second);
  unlock.close();
  click();
  assert.deepEqual(retried, []);
});

test("what is blocked anew is told of anew", () => {
  unlock.blocked(first);
  unlock.released(first);
  unlock.blocked(first);
  assert.deepEqual(told, ["blocked", "blocked"]);
});
