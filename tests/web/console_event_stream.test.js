import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";

import {
  CONNECTS_MS, DOUBT_MS, EventStream, LONGEST_WAIT_MS, protocolsOf, SILENCE_MS,
} from "../../evibridge/web/console/event_stream.js";

const settled = () => new Promise((resolve) => setImmediate(resolve));

afterEach(() => mock.timers.reset());

/** A stream in a browser without a network: the test opens and closes its sockets. */
function streaming({ random = 1, check, ...more } = {}) {
  mock.timers.enable({ apis: ["setTimeout"] });
  const sockets = [];
  const states = [];
  const told = [];
  const time = { now: 0 };
  class FakeSocket extends EventTarget {
    isClosed = false;
    constructor(url, protocols) {
      super();
      Object.assign(this, { url: String(url), protocols });
      sockets.push(this);
    }
    close() {
      this.isClosed = true;
    }
    opens() {
      this.dispatchEvent(new Event("open"));
    }
    says(data) {
      this.dispatchEvent(new MessageEvent("message", { data: typeof data === "string" ? data : JSON.stringify(data) }));
    }
    closes(code) {
      this.dispatchEvent(Object.assign(new Event("close"), { code }));
    }
  }
  const window = new EventTarget();
  const document = Object.assign(new EventTarget(), { hidden: false });
  const stream = new EventStream(
    {
      path: "v1/events",
      token: null,
      onTold: (message) => told.push(message),
      onState: (state, retryInMs) => states.push(retryInMs === null ? state : `${state} ${retryInMs}`),
      ...(check && { check }),
      ...more,
    },
    {
      WebSocket: FakeSocket, window, document, base: "https://voice.example.com/desk/console#/live",
      random: () => random, now: () => time.now,
    },
  );
  const pass = (ms) => {
    time.now += ms;
    mock.timers.tick(ms);
  };
  return { stream, sockets, states, told, window, document, pass, last: () => sockets.at(-1) };
}

test("the address is below the page's folder, and the token a subprotocol", () => {
  const { last } = streaming({ params: { events: "false", summaries: "true" }, token: "gé>?~" });
  assert.equal(last().url, "wss://voice.example.com/desk/v1/events?events=false&summaries=true");
  assert.deepEqual(last().protocols, ["evibridge", "bearer.Z8OpPj9-"]);
  assert.equal(Buffer.from("Z8OpPj9-", "base64url").toString(), "gé>?~");
  assert.deepEqual(protocolsOf(null), ["evibridge"]);
  assert.deepEqual(protocolsOf("a"), ["evibridge", "bearer.YQ"]);
});

test("messages are handed on as told, and what is none is passed over", () => {
  const { last, told, states } = streaming();
  last().opens();
  for (const data of ['{"type":"gap","missed":3}', "no json", "null", "[]", "7", '{"type":1}']) last().says(data);
  assert.deepEqual(told, [{ type: "gap", missed: 3 }]);
  assert.deepEqual(states, ["open"]);
});

test("it comes back after the last number that it was told", () => {
  const { last, pass, sockets } = streaming({ params: { since: 0 } });
  assert.match(last().url, /\?since=0$/);
  last().opens();
  last().says({ type: "snapshot", seq: 41 });
  last().says({ type: "caller_said", seq: 42 });
  last().says({ type: "levels" });
  last().says({ type: "odd", seq: "43" });
  last().closes(1006);
  pass(LONGEST_WAIT_MS);
  assert.equal(sockets.length, 2);
  assert.match(last().url, /\?since=42$/);
});

test("the waits grow from half a second to eight, and pages that were lost together come back apart", async () => {
  for (const [random, waits] of [
    [0, [500, 1000, 2000, 4000, 4000]],
    [1, [1000, 2000, 4000, 8000, 8000]],
  ]) {
    const { last, pass, states, sockets } = streaming({ random });
    for (const wait of waits) {
      last().closes(1006);
      await settled();
      assert.equal(states.at(-1), `lost ${wait}`);
      const before = sockets.length;
      pass(wait - 1);
      assert.equal(sockets.length, before);
      pass(1);
      assert.equal(sockets.length, before + 1);
    }
    mock.timers.reset();
  }
});

test("only a connection that lived lets the waits begin anew", () => {
  const { last, pass, states } = streaming();
  for (const lived of [0, 0, LONGEST_WAIT_MS]) {
    last().opens();
    pass(lived);
    last().closes(1006);
    pass(LONGEST_WAIT_MS);
  }
  assert.deepEqual(states, ["open", "lost 1000", "open", "lost 2000", "open", "lost 1000"]);
});

test("a normal close is the end", () => {
  const { last, pass, states, sockets, stream, window } = streaming();
  last().opens();
  last().closes(1000);
  pass(600_000);
  stream.tryNow();
  window.dispatchEvent(new Event("online"));
  assert.deepEqual([states, sockets.length], [["open", "over"], 1]);
});

test("a service that ends is waited for", () => {
  const { last, states } = streaming();
  last().opens();
  last().closes(1001);
  assert.deepEqual(states, ["open", "lost 1000"]);
});

test("a connection that did not open asks whether to go on", async () => {
  for (const [verdict, state, count] of [["retry", "lost 1000", 2], ["over", "over", 1], ["refused", "refused", 1]]) {
    const { last, pass, states, sockets } = streaming({ check: async () => verdict });
    last().closes(1006);
    await settled();
    pass(LONGEST_WAIT_MS);
    assert.deepEqual([states, sockets.length], [[state], count]);
    mock.timers.reset();
  }
});

test("one that was open and is lost asks nobody", () => {
  const { last, states } = streaming({ check: () => assert.fail("asked") });
  last().opens();
  last().closes(1006);
  assert.deepEqual(states, ["open", "lost 1000"]);
});

test("without an answer it goes on", async () => {
  const { last, states } = streaming({ check: () => Promise.reject(new Error("gone")) });
  last().closes(1006);
  await settled();
  assert.deepEqual(states, ["lost 1000"]);
});

test("a late answer to the question does not undo a new connection", async () => {
  let answer;
  const { last, stream, states, sockets } = streaming({ check: () => new Promise((resolve) => (answer = resolve)) });
  last().closes(1006);
  stream.tryNow();
  last().opens();
  answer("refused");
  await settled();
  assert.deepEqual([states, sockets.length], [["open"], 2]);
});

test("a connection that neither opens nor closes is given up", async () => {
  const { pass, sockets, states } = streaming();
  pass(CONNECTS_MS);
  await settled();
  assert.deepEqual([states, sockets[0].isClosed], [["lost 1000"], true]);
});

test("trying now does not wait, and leaves a connection that lives alone", () => {
  const { last, stream, sockets, pass } = streaming();
  stream.tryNow();
  assert.equal(sockets.length, 1);
  last().opens();
  stream.tryNow();
  assert.equal(sockets.length, 1);
  last().closes(1006);
  stream.tryNow();
  assert.equal(sockets.length, 2);
  last().opens();
  pass(LONGEST_WAIT_MS);
  last().says({ type: "levels" });
  assert.equal(sockets.length, 2);
});

test("a silent link is replaced without a word", () => {
  const { last, sockets, states, pass, told } = streaming();
  last().opens();
  pass(SILENCE_MS - 1);
  last().says({ type: "levels" });
  pass(SILENCE_MS - 1);
  assert.equal(sockets.length, 1);
  pass(1);
  assert.deepEqual([sockets.length, sockets[0].isClosed], [2, true]);
  sockets[0].says({ type: "late" });
  sockets[0].closes(1006);
  last().opens();
  assert.deepEqual([states, told.length], [["open"], 1]);
});

test("another network means another connection", () => {
  const { last, window, sockets } = streaming();
  last().opens();
  window.dispatchEvent(new Event("online"));
  assert.deepEqual([sockets.length, sockets[0].isClosed], [2, true]);
});

test("a tab that is seen again looks whether its link lives", () => {
  const { last, document, sockets, pass } = streaming();
  const shown = (hidden) => {
    document.hidden = hidden;
    document.dispatchEvent(new Event("visibilitychange"));
  };
  last().opens();
  shown(false);
  pass(DOUBT_MS + 1);
  shown(true);
  assert.equal(sockets.length, 1);
  shown(false);
  assert.equal(sockets.length, 2);
});

test("once it is closed nothing is told", async () => {
  const { last, stream, states, told, sockets, pass, document } = streaming({ check: async () => "refused" });
  stream.close();
  assert.ok(last().isClosed);
  last().says({ type: "late" });
  last().closes(1006);
  await settled();
  document.dispatchEvent(new Event("visibilitychange"));
  pass(600_000);
  assert.deepEqual([states, told, sockets.length], [[], [], 1]);
});

test("a browser that refuses to connect is waited for as well", async () => {
  const states = [];
  mock.timers.enable({ apis: ["setTimeout"] });
  const refuse = function () {
    throw new Error("SecurityError");
  };
  new EventStream(
    { path: "v1/events", token: null, onTold: () => {}, onState: (state) => states.push(state) },
    { WebSocket: refuse, window: new EventTarget(), document: new EventTarget(), base: "http://a/console" },
  );
  await settled();
  assert.deepEqual(states, ["lost"]);
});

test("a stream without an end begins anew, whoever has closed it", () => {
  const { sockets, states, pass, last } = streaming({ isEndless: true });
  last().opens();
  last().says({ type: "summaries", seq: 7 });
  last().closes(1000);
  assert.deepEqual(states, ["open", "lost 1000"]);
  pass(1000);
  assert.equal(sockets.length, 2);
  assert.match(last().url, /since=7/);
});
