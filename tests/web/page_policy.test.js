import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { EvibridgeError } from "../../evibridge/web/call/call_error.js";
import { PagePolicy } from "../../evibridge/web/call/page_policy.js";

const UNREACHABLE = new EvibridgeError("unreachable", "It cannot be reached.");
let page, policy;

function forbid(blockedURI, effectiveDirective) {
  page.dispatchEvent(Object.assign(new Event("securitypolicyviolation"), { blockedURI, effectiveDirective }));
}

beforeEach(() => {
  page = new EventTarget();
  policy = new PagePolicy(page, new URL("https://voice.example.com/"));
});

test("a service that the page's policy forbids is not unreachable", () => {
  forbid("wss://voice.example.com/browser", "connect-src");
  const { code, message } = policy.explain(UNREACHABLE);
  assert.equal(code, "blocked");
  assert.match(message, /add https:\/\/voice\.example\.com and wss:\/\/voice\.example\.com to its connect-src/);
});

test("a script that it forbids is another directive", () => {
  forbid("https://voice.example.com/web/call/capture_worklet.js", "script-src-elem");
  assert.match(policy.explain(UNREACHABLE).message, /add https:\/\/voice\.example\.com to its script-src-elem/);
});

test("what it forbids elsewhere, and what went wrong otherwise, stays as it is", () => {
  forbid("https://ads.example.com", "connect-src");
  assert.equal(policy.explain(UNREACHABLE), UNREACHABLE);
  forbid("https://voice.example.com", "connect-src");
  const refused = new EvibridgeError("token_used", "It was used.");
  assert.equal(policy.explain(refused), refused);
});

test("after the call nothing is looked at any more", () => {
  policy.close();
  forbid("https://voice.example.com", "connect-src");
  assert.equal(policy.explain(UNREACHABLE), UNREACHABLE);
});
