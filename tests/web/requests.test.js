import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { hangUp, post } from "../../evibridge/web/call/requests.js";

const { signal } = new AbortController();
/** What the service answers next: [status, body, headers]; null never answers. */
let answer;
let server, url;

before(async () => {
  server = createServer(async (request, response) => {
    const parts = await request.toArray();
    server.emit("asked", request, Buffer.concat(parts).toString());
    if (!answer) return;
    const [status, body, headers = {}] = answer;
    response.writeHead(status, headers).end(body);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  url = new URL(`http://127.0.0.1:${server.address().port}/webrtc/offer`);
});

after(() => {
  server.closeAllConnections();
  server.close();
});

test("a question and its answer are JSON", async () => {
  answer = [200, '{"type":"answer"}'];
  const asked = once(server, "asked");
  assert.deepEqual(await post(url, { type: "offer" }, signal), { type: "answer" });
  const [request, body] = await asked;
  assert.equal(request.headers["content-type"], "application/json");
  assert.equal(body, '{"type":"offer"}');
});

test("a refusal keeps the service's code, its sentence, and when to come again", async () => {
  answer = [503, '{"code":"service_full","message":"All lines are busy."}', { "Retry-After": "15" }];
  await assert.rejects(post(url, {}, signal), {
    name: "EvibridgeError",
    code: "service_full",
    message: "All lines are busy.",
    retryAfterS: 15,
  });
  answer = [401, '{"code":"token_used","message":"The token was used."}'];
  await assert.rejects(post(url, {}, signal), { code: "token_used", retryAfterS: undefined });
});

test("what is no service of ours is told as such", async () => {
  answer = [502, "<html>"];
  await assert.rejects(post(url, {}, signal), { code: "unreachable", message: /HTTP 502/ });
});

test("a proxy that does not pass the question on is told from a service that is away", async () => {
  answer = [404, "<html>"];
  await assert.rejects(post(url, {}, signal), { code: "webrtc_unavailable", message: /HTTP 404/ });
});

test("a service that is not there is unreachable", async () => {
  const nobody = createServer().listen(0, "127.0.0.1");
  await once(nobody, "listening");
  const { port } = nobody.address();
  nobody.close();
  await once(nobody, "close");
  await assert.rejects(post(new URL(`http://127.0.0.1:${port}/`), {}, signal), { code: "unreachable" });
});

test("a question can be broken off, before and while it is asked", async () => {
  answer = null;
  const breaker = new AbortController();
  const asking = post(url, {}, breaker.signal);
  await once(server, "asked");
  breaker.abort(new Error("enough"));
  await assert.rejects(asking, /enough/);
  await assert.rejects(post(url, {}, breaker.signal), /enough/);
});

test("a question without a breaker is answered as others are", async () => {
  answer = [200, "{}"];
  assert.deepEqual(await post(url, {}), {});
});

test("a service that does not answer in time is unreachable", async (context) => {
  answer = null;
  context.mock.timers.enable({ apis: ["setTimeout"] });
  const asked = once(server, "asked");
  const asking = post(url, {}, signal);
  await asked;
  context.mock.timers.tick(10_000);
  await assert.rejects(asking, { code: "unreachable", message: /does not answer/ });
});

test("a call is hung up by its key", async () => {
  answer = [204, ""];
  const asked = once(server, "asked");
  hangUp(url, "the key");
  const [request] = await asked;
  assert.equal(request.method, "DELETE");
  assert.equal(request.headers.authorization, "Bearer the key");
});
