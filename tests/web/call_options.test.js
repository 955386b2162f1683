import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { addressOf, tokenSource, waysOf } from "../../evibridge/web/call/call_options.js";

afterEach(() => delete globalThis.RTCPeerConnection);

test("an address may have a path, with or without a slash at its end", () => {
  assert.equal(addressOf("https://shop.example").href, "https://shop.example/");
  assert.equal(addressOf("http://127.0.0.1:8080/voice").href, "http://127.0.0.1:8080/voice/");
  assert.equal(addressOf("https://shop.example/voice/").href, "https://shop.example/voice/");
});

for (const server of ["", "shop.example", "/voice", "wss://shop.example", "file:///tmp"]) {
  test(`"${server}" is refused as an address, in a sentence`, () => {
    assert.throws(() => addressOf(server), { name: "TypeError", message: /^server: .+https:\/\/.+\.$/ });
  });
}

test("WebRTC is tried first where the browser has it", () => {
  assert.deepEqual(waysOf("auto"), ["websocket"]);
  globalThis.RTCPeerConnection = class {};
  assert.deepEqual(waysOf("auto"), ["webrtc", "websocket"]);
  assert.deepEqual([waysOf("webrtc"), waysOf("websocket")], [["webrtc"], ["websocket"]]);
});

test("a way that is none is refused in a sentence", () => {
  assert.throws(() => waysOf("carrier pigeon"), { name: "TypeError", message: /^transport: "carrier pigeon" .+\.$/ });
});

test("a token is given, or got when it is needed", async () => {
  assert.equal(await tokenSource("the token")(), "the token");
  assert.equal(await tokenSource(async () => "a fresh one")(), "a fresh one");
});

test("what a page's own function throws is left as it is", async () => {
  const error = new RangeError("as the page says");
  const get = tokenSource(() => Promise.reject(error));
  await assert.rejects(get(), (thrown) => thrown === error);
});

test("what is no token is refused: at once, or once it is there", async () => {
  for (const token of [undefined, null, "", 7]) {
    assert.throws(() => tokenSource(token), { name: "TypeError", message: /^token: .+\.$/ });
    await assert.rejects(tokenSource(async () => token)(), TypeError);
  }
});
