import assert from "node:assert/strict";
import { afterEach, beforeEach, mock, test } from "node:test";

import { AGAIN_MS, Api, MAX_RECORDING_BYTES, TIMEOUT_MS } from "../../evibridge/web/console/api.js";

const LOST = new TypeError("fetch failed");
const json = (body, status = 200, headers = {}) => new Response(JSON.stringify(body), { status, headers });
const settled = () => new Promise((resolve) => setImmediate(resolve));

beforeEach(() => mock.timers.enable({ apis: ["setTimeout"] }));
afterEach(() => mock.timers.reset());

/** An API whose service answers one after the other; an error is a lost connection. */
function asking(answers, { token = "secret", ...browser } = {}) {
  const asked = [];
  const refused = [];
  const fetch = async (path, init) => {
    asked.push({ path, ...init });
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    return answer ?? new Promise((_, reject) => init.signal.addEventListener("abort", () => reject(init.signal.reason)));
  };
  return { api: new Api(token, (error) => refused.push(error.code), { fetch, ...browser }), asked, refused };
}

/** What comes of a command whose first question was lost. */
async function again(promise) {
  const outcome = promise.then((value) => ({ value }), (error) => ({ error }));
  await settled();
  mock.timers.tick(AGAIN_MS);
  return outcome;
}

test("questions go to the page's own folder, with the token", async () => {
  const { api, asked } = asking([json({}), json({ calls: [], next: null }), json({}), json({}), json({})]);
  await api.service("2026-11-28T00:00:00.000Z");
  await api.calls({ state: "ended", q: "", before: null, limit: 50, recorded: true, agent: undefined });
  await api.call("a/b?");
  await api.record("CA1");
  await api.service();
  assert.deepEqual(asked.map(({ path }) => path), [
    "v1/service?since=2026-11-28T00%3A00%3A00.000Z",
    "v1/calls?state=ended&limit=50&recorded=true",
    "v1/calls/a%2Fb%3F",
    "v1/calls/CA1/record",
    "v1/service",
  ]);
  assert.equal(asked[0].headers.Authorization, "Bearer secret");
});

test("without a token none is sent", async () => {
  const { api, asked } = asking([json({})], { token: null });
  await api.service();
  assert.equal("Authorization" in asked[0].headers, false);
});

test("a refusal keeps the service's code and sentence", async () => {
  const { api, refused } = asking([json({ code: "call_not_found", message: "Nobody knows it." }, 404)]);
  await assert.rejects(api.call("x"), { name: "ApiError", status: 404, code: "call_not_found", message: "Nobody knows it." });
  assert.deepEqual(refused, []);
});

test("who is not let in is told to the page: 401, and 403 without a token", async () => {
  const unknown = asking([json({ code: "unauthorized", message: "No." }, 401)]);
  await assert.rejects(unknown.api.service(), { status: 401 });
  const stranger = asking([json({ code: "forbidden", message: "No." }, 403)], { token: null });
  await assert.rejects(stranger.api.service(), { status: 403 });
  const reader = asking([json({ code: "forbidden", message: "It may only read." }, 403)]);
  await assert.rejects(reader.api.command("x", "pause"), { message: "It may only read." });
  assert.deepEqual([unknown.refused, stranger.refused, reader.refused], [["unauthorized"], ["forbidden"], []]);
});

test("a token that no header bears is refused without a question", async () => {
  const { api, asked, refused } = asking([], { token: "se“cret" });
  await assert.rejects(api.service(), { status: 401, message: /^This is no token/ });
  assert.deepEqual([asked.length, refused.length], [0, 1]);
});

test("what is wrong with a body is one sentence", async () => {
  const detail = [{ loc: ["body", "text"], msg: "Field required" }, { loc: ["body", "to", 0], msg: "Too long" }];
  const { api } = asking([json({ detail }, 422), json({ detail: [{ msg: "Broken" }] }, 422)]);
  const message = "Refused because of text: Field required; to: 0: Too long.";
  await assert.rejects(api.command("x", "say", {}), { code: "invalid", message });
  await assert.rejects(api.command("x", "say", {}), { message: "Refused because of Broken." });
});

test("too many commands have to wait, as long as the service says", async () => {
  const body = { code: "too_many_commands", message: "Wait." };
  const { api } = asking([json(body, 429, { "Retry-After": "2" }), json(body, 429)]);
  await assert.rejects(api.command("x", "hold"), { message: "Too many commands: again in 2 s.", retryAfterS: 2 });
  await assert.rejects(api.command("x", "hold"), { message: "Too many commands: wait a moment.", retryAfterS: null });
});

test("a command is a POST with a key of its own, and a body only if it has one", async () => {
  const { api, asked } = asking([json({ command: "say" }), json({})]);
  assert.deepEqual(await api.command("CA1", "say", { text: "Hi" }), { command: "say" });
  await api.command("CA1", "tools/t1/approve");
  const [say, approve] = asked;
  assert.deepEqual([say.path, say.method, say.body], ["v1/calls/CA1/say", "POST", '{"text":"Hi"}']);
  assert.equal(say.headers["Content-Type"], "application/json");
  assert.deepEqual([approve.path, approve.body], ["v1/calls/CA1/tools/t1/approve", undefined]);
  assert.equal("Content-Type" in approve.headers, false);
  assert.notEqual(say.headers["Idempotency-Key"], approve.headers["Idempotency-Key"]);
});

test("browsers without randomUUID have keys as well", async () => {
  const crypto = { getRandomValues: (values) => values.fill(7) };
  const { api, asked } = asking([json({})], { crypto });
  await api.command("x", "hold");
  assert.equal(asked[0].headers["Idempotency-Key"], "7-7-7-7");
});

test("a command whose answer was lost is sent again once, with the same key", async () => {
  const { api, asked } = asking([LOST, json({ command: "hold" })]);
  assert.deepEqual(await again(api.command("x", "hold")), { value: { command: "hold" } });
  assert.equal(asked.length, 2);
  assert.equal(asked[0].headers["Idempotency-Key"], asked[1].headers["Idempotency-Key"]);
});

test("lost twice, nobody knows whether it was done", async () => {
  const { api, asked } = asking([LOST, LOST]);
  const { error } = await again(api.command("x", "hold"));
  assert.equal(error.message, "The server cannot be reached. It is not known whether it was done.");
  assert.deepEqual([error.code, error.status, asked.length], ["unreachable", 0, 2]);
});

test("without a network it is known that nothing was done", async () => {
  const { api } = asking([LOST, LOST], { isOffline: () => true });
  const { error } = await again(api.command("x", "hold"));
  assert.equal(error.message, "The server cannot be reached. Nothing was done; press again.");
  const states = [false, true];
  const going = asking([LOST, LOST], { isOffline: () => states.shift() });
  assert.match((await again(going.api.command("x", "hold"))).error.message, /It is not known/);
});

test("no answer in ten seconds is a failure, and a command is not sent again", async () => {
  const { api, asked } = asking([]);
  for (const [promise, advice] of [
    [api.command("x", "hold"), "It is not known whether it was done."],
    [api.call("x"), "Check the network, then try again."],
  ]) {
    const failed = assert.rejects(promise, {
      code: "timeout",
      message: `The server has not answered for 10 s. ${advice}`,
    });
    await settled();
    mock.timers.tick(TIMEOUT_MS);
    await failed;
  }
  assert.equal(asked.length, 2);
});

test("a question that is lost is not asked again by itself", async () => {
  const { api, asked } = asking([LOST]);
  const message = "The server cannot be reached. Check the network, then try again.";
  await assert.rejects(api.calls({}), { code: "unreachable", message });
  assert.equal(asked.length, 1);
});

test("an answer of somebody between is told as such", async () => {
  const { api } = asking([new Response("<html>", { status: 502 }), new Response("<html>")]);
  await assert.rejects(api.command("x", "hold"), {
    code: "",
    message: "The server has answered with 502. It is not known whether it was done.",
  });
  await assert.rejects(api.call("x"), { message: /^The answer is not of an evibridge server/ });
});

test("a voice is offered as a command is given", async () => {
  const { api, asked } = asking([json({ type: "answer", sdp: "v=0" }, 201)]);
  assert.equal((await api.voice("x", { type: "offer", sdp: "v=0" })).type, "answer");
  assert.deepEqual([asked[0].path, asked[0].method], ["v1/calls/x/voice", "POST"]);
});

/** A body of pieces; null never comes. */
function bodyOf(pieces, headers = {}) {
  let isCancelled = false;
  const answer = {
    ok: true,
    status: 200,
    headers: new Headers(headers),
    body: {
      getReader: () => ({
        read: async () => (pieces.length ? { done: false, value: pieces.shift() } : { done: true }),
        cancel: async () => (isCancelled = true),
      }),
    },
  };
  return { answer, isCancelled: () => isCancelled };
}

test("a recording comes in pieces, and tells how far it is", async () => {
  const { answer } = bodyOf([new Uint8Array([1, 2]), new Uint8Array([3])], {
    "Content-Length": "3",
    "Content-Type": "audio/x-wav",
  });
  const { api, asked } = asking([answer]);
  const told = [];
  const blob = await api.recording("CA1", (received, total) => told.push([received, total]));
  assert.deepEqual(told, [[2, 3], [3, 3]]);
  assert.deepEqual([...new Uint8Array(await blob.arrayBuffer())], [1, 2, 3]);
  assert.deepEqual([blob.type, asked[0].path], ["audio/x-wav", "v1/calls/CA1/recording"]);
});

test("a recording that is too large is refused, said beforehand or not", async () => {
  const half = { byteLength: MAX_RECORDING_BYTES / 2 };
  const pieces = [half, half, { byteLength: 1 }, half];
  const unsaid = bodyOf(pieces);
  const said = bodyOf([half], { "Content-Length": String(MAX_RECORDING_BYTES + 1) });
  for (const { answer, isCancelled } of [unsaid, said]) {
    const message = "The recording is larger than 400 MB: save it with another program.";
    await assert.rejects(asking([answer]).api.recording("x"), { code: "too_large", message });
    assert.ok(isCancelled());
  }
  assert.equal(pieces.length, 1);
});

test("a recording may take long, as long as it goes on", async () => {
  let signal;
  const steps = [];
  const reader = { read: () => new Promise((resolve, reject) => {
    steps.push(resolve);
    signal.addEventListener("abort", () => reject(signal.reason));
  }), cancel: async () => {} };
  const fetch = async (_, init) => {
    ({ signal } = init);
    return { ok: true, status: 200, headers: new Headers(), body: { getReader: () => reader } };
  };
  const late = assert.rejects(new Api(null, () => {}, { fetch }).recording("x"), { code: "timeout" });
  for (let piece = 0; piece < 3; piece += 1) {
    await settled();
    mock.timers.tick(TIMEOUT_MS - 1);
    assert.equal(signal.aborted, false);
    steps.shift()({ done: false, value: new Uint8Array(1) });
  }
  await settled();
  mock.timers.tick(TIMEOUT_MS);
  await late;
});
