import assert from "node:assert/strict";
import { test } from "node:test";

import { hashOf, routeOf } from "../../evibridge/web/console/router.js";

const LIVE = { view: "live", callId: null };

test("an address without a part behind # opens the live calls", () => {
  assert.deepEqual(routeOf(""), LIVE);
  assert.deepEqual(routeOf("#"), LIVE);
  assert.deepEqual(routeOf("#/live"), LIVE);
});

test("a call is opened in the view that it was found in", () => {
  assert.deepEqual(routeOf("#/live/CA4f0c"), { view: "live", callId: "CA4f0c" });
  assert.deepEqual(routeOf("#/history/CA4f0c"), { view: "history", callId: "CA4f0c" });
  assert.deepEqual(routeOf("#/history"), { view: "history", callId: null });
});

test("an id comes back as it was, whatever is in it", () => {
  for (const callId of ["CA4f0c", "a/b", "50%", "#", "ä ö", "..", "?x=1"]) {
    for (const view of ["live", "history"]) {
      assert.deepEqual(routeOf(hashOf({ view, callId })), { view, callId });
    }
  }
});

test("views without a call have an address too", () => {
  assert.equal(hashOf(LIVE), "#/live");
  assert.equal(hashOf({ view: "history", callId: null }), "#/history");
});

test("what is no address of the console opens the live calls", () => {
  for (const hash of ["#main", "#/other/CA4f0c", "#/live/%E0%A4", "#/live/a/b", "#/history/a/b", "#/lively"]) {
    assert.deepEqual(routeOf(hash), LIVE, hash);
  }
});
