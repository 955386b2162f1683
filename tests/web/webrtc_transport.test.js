import assert from "node:assert/strict";
import { test } from "node:test";

import { leadsNowhere } from "../../evibridge/web/call/webrtc_transport.js";

const NO_ADDRESS = "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtcp-mux\r\n";
const AN_ADDRESS = `${NO_ADDRESS}a=candidate:1 1 udp 2122260223 192.0.2.1 50000 typ host\r\n`;
const STUN = [{ urls: "stun:stun.example.com:3478" }];
const TURN = [{ urls: ["stun:stun.example.com:3478", "turns:turn.example.com"] }];

const peer = (sdp, iceGatheringState = "complete") => ({ localDescription: { sdp }, iceGatheringState });

test("a browser that has found no address of its own reaches nobody", () => {
  assert.equal(leadsNowhere(peer(NO_ADDRESS), []), true);
  assert.equal(leadsNowhere(peer(NO_ADDRESS), STUN), true);
});

test("an address, a relay, or more time may help", () => {
  assert.equal(leadsNowhere(peer(AN_ADDRESS), []), false);
  assert.equal(leadsNowhere(peer(NO_ADDRESS), TURN), false);
  assert.equal(leadsNowhere(peer(NO_ADDRESS, "gathering"), []), false);
});
