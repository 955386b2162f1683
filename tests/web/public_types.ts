// Compiled, never run: what is declared in evibridge.d.ts is what the module does, and can be used.

import { EvibridgeCall, EvibridgeError } from "../../evibridge/web/evibridge.js";
import type { CallOptions, CallState, TranscriptMessage } from "../../evibridge/web/evibridge.js";
import { EvibridgeCall as CallItself } from "../../evibridge/web/call/call.js";
import { EvibridgeError as ErrorItself } from "../../evibridge/web/call/call_error.js";

export const constructors: [typeof EvibridgeCall, typeof EvibridgeError] = [CallItself, ErrorItself];

export async function talk(options: CallOptions): Promise<CallState> {
  const call = new EvibridgeCall(options);
  const stop: () => void = call.on("transcript", ({ by, text, interim }) => console.log(by, text, interim));
  call.on("transcript", (message: TranscriptMessage) => message.expression?.[0]?.score.toFixed(2));
  call.on("welcome", ({ missed, transport }) => console.log(missed === true, transport));
  call.on("refused", ({ code, retry_after_s: waitS = 0 }) => console.log(code === "too_many_texts", waitS));
  call.on("speaking", ({ speaking }) => console.log(speaking));
  call.on("ended", ({ reason, sentence, seconds }) => console.log(reason, sentence, seconds.toFixed()));
  // @ts-expect-error: there is no such event
  call.on("transcripts", () => {});
  // @ts-expect-error: the state is the call's own
  call.state = "connected";
  try {
    await call.start();
  } catch (error) {
    if (error instanceof EvibridgeError && error.code === "service_full") console.log(error.retryAfterS);
  }
  call.halfDuplex = call.level("agent") > 0.5;
  await call.setMicrophone(true);
  await call.setSpeaker("headset");
  stop();
  await call.end();
  return call.state;
}

/** A token may be given, or got. */
export const options: CallOptions[] = [
  { token: "the token" },
  { token: async () => (await fetch("/voice-token", { method: "POST" })).text(), transport: "websocket" },
];
