import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { EvibridgeError } from "../../evibridge/web/call/call_error.js";
import { Connection } from "../../evibridge/web/call/connection.js";

/** Transports that were made, the newest last, and what was told by the connection. */
let transports, told, connection, network, nowS;

const WELCOME = { type: "welcome", call_id: "web-1", key: "the key", resume_s: 20 };
const LOST = new EvibridgeError("connection_lost", "The connection was lost.");

/** A transport that does as the test says. */
class Transport {
  sent = [];
  streams = [];
  isClosed = false;
  takesMicrophones = true;
  asking = Promise.resolve();

  constructor(kind, listener) {
    this.kind = kind;
    this.listener = listener;
    transports.push(this);
  }

  open(proof) {
    this.proof = proof;
    return new Promise((resolve, reject) => {
      this.opened = resolve;
      this.failed = reject;
    });
  }

  send(message) {
    this.sent.push(message.type);
  }

  async replaceMicrophone(stream) {
    this.streams.push(stream);
    return this.takesMicrophones;
  }

  close() {
    this.isClosed = true;
  }
}

function newConnection(...ways) {
  return new Connection({
    server: new URL("http://127.0.0.1:9/"),
    ways,
    newTransport: (way, listener) => new Transport(way, listener),
    listener: {
      onMessage: ({ type }) => told.push(type),
      onReconnecting: () => told.push("reconnecting"),
      onReconnected: () => told.push("reconnected"),
      onGone({ code }) {
        told.push(`gone: ${code}`);
        connection.close();
      },
    },
    network,
    nowS: () => nowS,
  });
}

const connecting = () => connection.connect("the token");
const PLACE = { callId: "web-1", key: "the key", resumeS: 20 };
const newest = () => transports.at(-1);
const settled = () => new Promise((resolve) => setImmediate(resolve));

async function pass(seconds) {
  nowS += seconds;
  mock.timers.tick(seconds * 1000);
  await settled();
}

async function connected(...ways) {
  connection = newConnection(...ways);
  const welcomed = connecting();
  newest().listener.onMessage(WELCOME);
  await welcomed;
}

async function lose() {
  newest().listener.onLost(LOST);
  await settled();
}

beforeEach(() => {
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  [transports, told, network, nowS] = [[], [], new EventTarget(), 1000];
});

afterEach(() => {
  connection.close();
  mock.timers.reset();
});

test("a call is connected once the service has welcomed the caller", async () => {
  connection = newConnection("websocket");
  const welcomed = connecting();
  assert.deepEqual(newest().proof, { token: "the token" });
  assert.deepEqual([connection.way, connection.callId], [null, null]);
  newest().listener.onMessage(WELCOME);
  await welcomed;
  assert.deepEqual([connection.way, connection.callId], ["websocket", "web-1"]);
  assert.deepEqual(told, ["welcome"]);
});

test("a browser's own error becomes a sentence", async () => {
  connection = newConnection("webrtc");
  const welcomed = connecting();
  newest().failed(new TypeError("no such codec"));
  await assert.rejects(welcomed, { code: "blocked", message: /no such codec/ });
});

for (const code of ["webrtc_not_installed", "unreachable", "blocked"]) {
  test(`after "${code}" the unused token goes another way`, async () => {
    connection = newConnection("webrtc", "websocket");
    const welcomed = connecting();
    transports[0].failed(new EvibridgeError(code, "It does not work."));
    await settled();
    assert.deepEqual([transports[0].isClosed, newest().kind, newest().proof], [true, "websocket", { token: "the token" }]);
    newest().listener.onMessage(WELCOME);
    await welcomed;
  });
}

test("a way that takes too long is left, and the place is kept", async () => {
  connection = newConnection("webrtc", "websocket");
  const welcomed = connecting();
  newest().listener.onPlace(PLACE);
  newest().opened();
  await pass(6);
  assert.deepEqual(newest().proof, { key: "the key", since: undefined });
  newest().listener.onMessage(WELCOME);
  await welcomed;
  assert.equal(connection.way, "websocket");
});

test("a way that takes long while the service decides over a place is not left before that", async () => {
  connection = newConnection("webrtc", "websocket");
  const welcomed = connecting();
  let answer;
  newest().asking = new Promise((resolve) => (answer = resolve));
  await pass(8);
  assert.equal(transports.length, 1);
  newest().listener.onPlace(PLACE);
  answer();
  await settled();
  assert.deepEqual([newest().kind, newest().proof], ["websocket", { key: "the key", since: undefined }]);
  newest().listener.onMessage(WELCOME);
  await welcomed;
});

test("the last way is given the time that the service gives", async () => {
  connection = newConnection("webrtc");
  const refused = assert.rejects(connecting(), { code: "blocked" });
  newest().listener.onPlace(PLACE);
  await pass(14);
  assert.equal(newest().isClosed, false);
  await pass(1);
  await refused;
  assert.equal(newest().isClosed, true);
});

test("a service that has not answered is no network that lets nothing through", async () => {
  connection = newConnection("webrtc");
  const refused = assert.rejects(connecting(), { code: "unreachable" });
  await pass(15);
  await refused;
});

test("what the service refuses by one way is not asked for by another", async () => {
  connection = newConnection("webrtc", "websocket");
  const welcomed = connecting();
  newest().failed(new EvibridgeError("token_expired", "The token has expired."));
  await assert.rejects(welcomed, { code: "token_expired" });
  assert.equal(transports.length, 1);
});

test("a refusal by message rejects, with when to come again", async () => {
  connection = newConnection("websocket");
  const welcomed = connecting();
  newest().listener.onMessage({ type: "refused", code: "service_full", message: "All lines are busy.", retry_after_s: 15 });
  await assert.rejects(welcomed, { code: "service_full", retryAfterS: 15 });
  assert.deepEqual(told, []);
});

test("in a call a refusal is of a command", async () => {
  await connected("websocket");
  newest().listener.onMessage({ type: "refused", code: "already_paused", message: "So it is." });
  assert.deepEqual(told, ["welcome", "refused"]);
});

test("a socket that closes before the welcome is a failure", async () => {
  connection = newConnection("websocket");
  const welcomed = connecting();
  newest().opened();
  newest().listener.onLost(LOST);
  await assert.rejects(welcomed, { code: "connection_lost" });
});

test("a caller who hangs up while it connects is connected to nothing", async () => {
  connection = newConnection("webrtc", "websocket");
  const welcomed = connecting();
  connection.close();
  await assert.rejects(welcomed, { code: "caller_hung_up" });
  assert.deepEqual([transports.length, newest().isClosed], [1, true]);
});

test("a lost call is come back to with the key, and with what was known", async () => {
  await connected("websocket");
  newest().listener.onMessage({ type: "ready", seq: 41 });
  newest().listener.onMessage({ type: "interrupted", seq: 42 });
  await lose();
  assert.equal(connection.way, null);
  await pass(0.4);
  assert.deepEqual(newest().proof, { key: "the key", since: 42 });
  newest().listener.onMessage(WELCOME);
  await settled();
  assert.deepEqual(told, ["welcome", "ready", "interrupted", "reconnecting", "welcome", "reconnected"]);
});

test("a try that fails is followed by another one, until the call is given up", async () => {
  await connected("websocket");
  await lose();
  while (!told.at(-1).startsWith("gone")) {
    await pass(0.25);
    if (!newest().isClosed) {
      newest().failed(new EvibridgeError("unreachable", "It cannot be reached."));
      await settled();
    }
    assert.ok(nowS < 1000 + 30);
  }
  assert.equal(told.at(-1), "gone: connection_lost");
  assert.ok(transports.length > 8);
});

test("a service that has no room for the moment is tried again", async () => {
  await connected("websocket");
  await lose();
  await pass(0.4);
  newest().failed(new EvibridgeError("service_full", "Too many connections."));
  await settled();
  await pass(1);
  assert.equal(transports.length, 3);
});

test("a call that is over is not tried again", async () => {
  await connected("websocket");
  await lose();
  await pass(0.4);
  newest().listener.onMessage({ type: "refused", code: "call_is_over", message: "The call is over." });
  await settled();
  assert.deepEqual(told, ["welcome", "reconnecting", "gone: call_is_over"]);
});

test("a call that another connection has taken over is left to it", async () => {
  await connected("websocket");
  newest().listener.onLost(new EvibridgeError("taken_over", "The call goes on by another connection."));
  await settled();
  assert.deepEqual(told, ["welcome", "gone: taken_over"]);
});

for (const code of ["blocked", "webrtc_not_installed", "webrtc_unavailable"]) {
  test(`a call that lost WebRTC tries it again, and after "${code}" goes on by WebSocket for good`, async () => {
    await connected("webrtc", "websocket");
    await lose();
    await pass(0.4);
    assert.equal(newest().kind, "webrtc");
    newest().failed(new EvibridgeError(code, "It does not work."));
    await settled();
    assert.equal(newest().kind, "websocket");
    newest().listener.onMessage(WELCOME);
    await settled();
    await lose();
    await pass(0.7);
    assert.deepEqual(
      transports.map(({ kind }) => kind),
      ["webrtc", "webrtc", "websocket", "websocket"],
    );
  });
}

test("a way that is not connected in time is given up for good in a call, too", async () => {
  await connected("webrtc", "websocket");
  await lose();
  await pass(0.4);
  newest().listener.onPlace(PLACE);
  await pass(6);
  assert.equal(newest().kind, "websocket");
});

test("a service that is away for a moment is no reason to leave WebRTC", async () => {
  await connected("webrtc", "websocket");
  await lose();
  await pass(0.4);
  newest().failed(new EvibridgeError("unreachable", "It cannot be reached."));
  await settled();
  await pass(0.7);
  await pass(6);
  await pass(1.3);
  assert.deepEqual(
    transports.map(({ kind }) => kind),
    ["webrtc", "webrtc", "webrtc", "webrtc"],
  );
});

test("a service that names a time is not asked before that", async () => {
  await connected("websocket");
  await lose();
  await pass(0.4);
  newest().listener.onMessage({ type: "refused", code: "too_many_connections", message: "Wait.", retry_after_s: 5 });
  await settled();
  await pass(4);
  assert.equal(transports.length, 2);
  await pass(1);
  assert.equal(transports.length, 3);
});

test("a network that is back is used at once", async () => {
  await connected("websocket");
  await lose();
  network.dispatchEvent(new Event("online"));
  await settled();
  assert.equal(transports.length, 2);
});

test("a caller who hangs up while the connection is lost is not connected again", async () => {
  await connected("websocket");
  await lose();
  connection.close();
  await pass(30);
  assert.deepEqual([transports.length, told], [1, ["welcome", "reconnecting"]]);
});

test("a connection is asked each second whether it lives, and is lost when nothing comes", async () => {
  await connected("websocket");
  for (let second = 0; second < 3; second += 1) await pass(1);
  assert.deepEqual(newest().sent, ["ping", "ping", "ping"]);
  newest().listener.onMessage({ type: "pong" });
  for (let second = 0; second < 3; second += 1) await pass(1);
  newest().listener.onSound();
  for (let second = 0; second < 3; second += 1) await pass(1);
  assert.equal(newest().isClosed, false);
  await pass(1);
  assert.deepEqual(told, ["welcome", "reconnecting"]);
});

test("a transport's own clock asks where timers are slow", async () => {
  await connected("websocket");
  newest().listener.onTick();
  assert.deepEqual(newest().sent, ["ping"]);
});

test("what an abandoned transport still tells is not heard", async () => {
  await connected("websocket");
  await lose();
  transports[0].listener.onMessage({ type: "ready", seq: 43 });
  transports[0].listener.onLost(LOST);
  assert.deepEqual(told, ["welcome", "reconnecting"]);
});

test("another microphone goes to the transport", async () => {
  await connected("webrtc", "websocket");
  await connection.replaceMicrophone("headset");
  assert.deepEqual([newest().streams, newest().isClosed], [["headset"], false]);
  await lose();
  await connection.replaceMicrophone("another");
  assert.equal(transports.length, 1);
});

/** A call by typing that is about to become one by voice. */
async function switching() {
  await connected("webrtc", "websocket");
  newest().takesMicrophones = false;
  const replaced = connection.replaceMicrophone("headset");
  await settled();
  await pass(0);
  return { replaced };
}

test("a call by typing gets another connection for a microphone, and nobody is told", async () => {
  const { replaced } = await switching();
  assert.deepEqual([transports.map(({ isClosed }) => isClosed), newest().proof.key], [[true, false], "the key"]);
  connection.send({ type: "text" });
  newest().listener.onMessage(WELCOME);
  await replaced;
  assert.deepEqual([newest().sent, told], [["text"], ["welcome", "welcome", "reconnected"]]);
  connection.send({ type: "pause" });
  assert.deepEqual(newest().sent, ["text", "pause"]);
});

test("a new connection that takes long is told of", async () => {
  const { replaced } = await switching();
  await pass(2);
  assert.deepEqual(told, ["welcome", "reconnecting"]);
  newest().listener.onMessage(WELCOME);
  await replaced;
});

test("a call that is lost with its new connection is told of, and the microphone is of no use", async () => {
  const { replaced } = await switching();
  const refused = assert.rejects(replaced, { code: "caller_hung_up" });
  newest().failed(new EvibridgeError("call_is_over", "The call is over."));
  await settled();
  await refused;
  assert.deepEqual(told, ["welcome", "gone: call_is_over"]);
});

/** What is asked for by HTTP. */
function watchFetch(context) {
  const asked = [];
  context.mock.method(globalThis, "fetch", async (url, { method, headers }) => {
    asked.push([url.href, method, headers.Authorization]);
  });
  return asked;
}
const GIVEN_BACK = ["http://127.0.0.1:9/webrtc/offer/web-1", "DELETE", "Bearer the key"];

test("who hangs up and cannot wait says so by the connection, and without it", async (context) => {
  const asked = watchFetch(context);
  connection = newConnection("websocket");
  connection.abandon();
  await connected("websocket");
  connection.abandon();
  assert.deepEqual(newest().sent, ["end"]);
  assert.deepEqual(asked, [GIVEN_BACK]);
});

test("a place that is given after the caller has hung up is given back", async (context) => {
  const asked = watchFetch(context);
  connection = newConnection("webrtc", "websocket");
  const refused = assert.rejects(connecting(), { code: "caller_hung_up" });
  connection.abandon();
  connection.close();
  await refused;
  assert.deepEqual(asked, []);
  newest().listener.onPlace(PLACE);
  assert.deepEqual([asked, connection.callId], [[GIVEN_BACK], null]);
});

test("a call that is over sounds on for a moment, and is not come back to", async () => {
  await connected("websocket");
  connection.close(200);
  newest().listener.onLost(LOST);
  newest().listener.onMessage({ type: "ready" });
  assert.deepEqual([newest().isClosed, told], [false, ["welcome"]]);
  await pass(0.2);
  await pass(30);
  assert.deepEqual([newest().isClosed, transports.length], [true, 1]);
});
