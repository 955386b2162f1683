// What both ways to the service have in common.

import type { PageMessage, ServiceMessage } from "../evibridge.js";
import type { EvibridgeError } from "./call_error.js";

export interface Transport {
  readonly kind: "webrtc" | "websocket";
  /** Settles once the service is not about to give the caller a place, which would be lost. */
  readonly asking: Promise<unknown>;
  /** Resolves once the service may welcome the caller. */
  open(proof: Proof): Promise<void>;
  /** The message is lost if the transport is not open. */
  send(message: PageMessage): void;
  /** Resolves to false if the call has to be connected anew for it. */
  replaceMicrophone(stream: MediaStream): Promise<boolean>;
  close(): void;
}

/** Whose call it is: a caller shows the token first, and later the key that he got for it. */
export type Proof = { token: string } | { key: string; since?: number };

/** What a transport tells. */
export interface TransportListener {
  /** The service keeps a place for the caller from now on. */
  onPlace(place: Place): void;
  onMessage(message: ServiceMessage): void;
  /** Something else has come from the service. */
  onSound(): void;
  /** About once a second, if the transport has a clock of its own. */
  onTick(): void;
  /** It is of no use any more. */
  onLost(error: EvibridgeError): void;
}

/** A call at the service. */
export interface Place {
  callId: string;
  key: string;
  resumeS: number;
}
