/**
 * A call with an evibridge agent from a web page.
 *
 *     import { EvibridgeCall } from "https://voice.example.com/evibridge.js";
 *     const call = new EvibridgeCall({ token });
 *     call.on("transcript", ({ by, text }) => console.log(by, text));
 *     button.onclick = () => call.start();
 */

/** One call. An object is used once: a new call is a new object. */
export class EvibridgeCall {
  /** Throws `TypeError` if an option is of no use. */
  constructor(options: CallOptions);

  readonly state: CallState;
  /** Whether the microphone is switched off by `mute()`, whatever the service knows of it yet. */
  readonly muted: boolean;
  /** Whether the agent is paused, by the caller or by an operator. */
  readonly paused: boolean;
  /** Name of the call at the service; null until it is connected. */
  readonly callId: string | null;
  /** The way by which the call goes now; null while there is none. */
  readonly transport: Transport | null;
  /** How often the agent's sound ran dry in the middle, because the network was late (WebSocket). */
  readonly underruns: number;
  /** Keep the microphone shut while the agent is heard: for loudspeakers that echo. */
  halfDuplex: boolean;

  /**
   * Ask for the microphone and connect. Call it in a click: browsers play no sound before one.
   * Rejects with `EvibridgeError` if the call did not come to be, or with what the function threw
   * that was to get the token.
   */
  start(): Promise<void>;
  /** Hang up. Resolves once the call is over; never rejects. */
  end(): Promise<void>;
  /** The agent is to be silent; the `paused` event follows. */
  pause(): void;
  /** The agent may speak again; the `resumed` event follows. */
  resume(): void;
  /** Switch the microphone off, at once. */
  mute(): void;
  /** Switch it on again. */
  unmute(): void;
  /** Say something in writing: 1 to 4000 characters. */
  send(text: string): void;
  /**
   * Go on with another microphone (`deviceId`, or true for the browser's choice); also in a call
   * that began without one: that gets another connection, of which the state tells only if it is not
   * there within 2 s. Resolves once the microphone is heard, or yet another one was asked for.
   * Rejects with `EvibridgeError`, and the old one goes on if it still can.
   */
  setMicrophone(microphone: string | true): Promise<void>;
  /** Let the agent be heard elsewhere. Rejects with `speaker_unavailable` where that cannot be. */
  setSpeaker(deviceId: string): Promise<void>;
  /** Loudness of the last 50 ms, RMS from 0 to 1. */
  level(who: "caller" | "agent"): number;
  /** Listen to an event; call what is returned to stop. */
  on<Type extends keyof CallEvents>(
    type: Type,
    listener: (event: CallEvents[Type]) => void,
  ): () => void;
}

/** Why something did not work: `code` for programs, `message` for people. */
export class EvibridgeError extends Error {
  constructor(code: ErrorCode, message: string, retryAfterS?: number);
  readonly code: ErrorCode;
  /** When it may be worth another try, if the service has said so. */
  readonly retryAfterS?: number;
}

export interface CallOptions {
  /**
   * One-use token of a web session, which your server gets from the service; or a function that gets
   * one. It is called by `start()`, once the microphone is open: people may take long to allow that,
   * and tokens wait a minute. What it throws, `start()` rejects with.
   */
  token: string | (() => Promise<string>);
  /** Address of the service. Default: where this module was loaded from. */
  server?: string;
  /** Default "auto": WebRTC, and WebSocket where that is not to be had. */
  transport?: "auto" | Transport;
  /** Default true; a `deviceId` for a certain one; false for a caller who only types. */
  microphone?: boolean | string;
  /** `deviceId` of an audio output. Default: the system's. */
  speaker?: string;
  /** Default false. */
  halfDuplex?: boolean;
}

export type Transport = "webrtc" | "websocket";

export type CallState = "idle" | "connecting" | "connected" | "reconnecting" | "ended";

export type ErrorCode =
  | "microphone_refused"
  | "microphone_missing"
  | "microphone_busy"
  | "microphone_lost"
  | "insecure_page"
  | "sound_blocked"
  | "speaker_unavailable"
  | "unreachable"
  | "blocked"
  | "webrtc_not_installed"
  | "webrtc_unavailable"
  | "service_full"
  | "draining"
  | "too_many_connections"
  | "too_many_texts"
  | "too_many_changes"
  | "token_unknown"
  | "token_expired"
  | "token_used"
  | "token_for_another_origin"
  | "origin_not_allowed"
  | "call_is_over"
  | "connection_lost"
  | "taken_over"
  | "already_started"
  | "not_connected"
  | "caller_hung_up"
  // codes that the service may add
  | (string & {});

/** What happens in a call: the service's messages by their `type`, and the module's own events. */
export interface CallEvents {
  welcome: WelcomeMessage;
  ready: ReadyMessage;
  away: AwayMessage;
  transcript: TranscriptMessage;
  heard: HeardMessage;
  expression: ExpressionMessage;
  interrupted: InterruptedMessage;
  tool: ToolMessage;
  paused: PausedMessage;
  resumed: ResumedMessage;
  held: HeldMessage;
  released: ReleasedMessage;
  muted: MutedMessage;
  ending: EndingMessage;
  ended: EndedMessage;
  refused: RefusedMessage;
  state: StateEvent;
  speaking: SpeakingEvent;
  error: ErrorEvent;
}

/** The state has changed; `ended` comes before the state "ended". */
export interface StateEvent {
  type: "state";
  state: CallState;
}

/** The agent begins to be heard, or has stopped. */
export interface SpeakingEvent {
  type: "speaking";
  speaking: boolean;
}

/** Something went wrong in a call that goes on, or has just been lost. */
export interface ErrorEvent {
  type: "error";
  code: ErrorCode;
  message: string;
}

/** What messages have that tell of the call's course. */
export interface CourseMessage {
  /** Number of what happened; it grows. */
  seq: number;
  /** Seconds since the call began. */
  at_s: number;
}

/** The call is there; again after each reconnection. */
export interface WelcomeMessage {
  type: "welcome";
  call_id: string;
  /** Lets its bearer come back to the call: keep it to yourself. */
  key: string;
  /** How long the call waits for a caller whose connection was lost. */
  resume_s: number;
  agent: { name: string | null };
  transport: Transport;
  /** Whether some of what happened while the connection was lost is not told: it was too much. */
  missed?: boolean;
}

/** The agent is there, or there again. */
export interface ReadyMessage extends CourseMessage {
  type: "ready";
}

/** The agent's server is lost for the moment. */
export interface AwayMessage extends CourseMessage {
  type: "away";
}

/**
 * What somebody said: of the caller as it is understood, of the agent one sentence each. A person is
 * an operator who speaks in the agent's place.
 */
export interface TranscriptMessage extends CourseMessage {
  type: "transcript";
  by: "caller" | "agent" | "person";
  id?: string;
  text: string;
  /** Whether it may still change: the next one of the caller replaces it. */
  interim: boolean;
  /** Whether the caller typed it. */
  typed: boolean;
  expression?: Expression[];
}

/** What of an agent's sentence has reached the caller. */
export interface HeardMessage extends CourseMessage {
  type: "heard";
  id: string;
  text: string;
  complete: boolean;
}

/** How an utterance sounded: the strongest first, five at most. */
export interface ExpressionMessage extends CourseMessage {
  type: "expression";
  id: string;
  expression: Expression[];
}

export interface Expression {
  name: string;
  score: number;
}

/** The caller has interrupted the agent. */
export interface InterruptedMessage extends CourseMessage {
  type: "interrupted";
}

/** The agent looks something up, or does something. */
export interface ToolMessage extends CourseMessage {
  type: "tool";
  id: string;
  name: string;
  state: "running" | "done" | "failed";
  /** What the agent says meanwhile. */
  words?: string;
}

export interface PausedMessage extends CourseMessage {
  type: "paused";
  /** `person`: an operator speaks with the caller in the agent's place. */
  by: "you" | "operator" | "person";
}

export interface ResumedMessage extends CourseMessage {
  type: "resumed";
}

/** An operator has put the caller on hold. */
export interface HeldMessage extends CourseMessage {
  type: "held";
}

export interface ReleasedMessage extends CourseMessage {
  type: "released";
}

/** The service knows that the microphone is off, or on. */
export interface MutedMessage extends CourseMessage {
  type: "muted";
  muted: boolean;
}

/** The call is about to end: the agent says goodbye. */
export interface EndingMessage extends CourseMessage {
  type: "ending";
  reason: string;
}

/** The call is over. It comes once in each call that was connected, or that was hung up. */
export interface EndedMessage {
  type: "ended";
  reason: string;
  /** For people. */
  sentence: string;
  seconds: number;
  seq?: number;
  at_s?: number;
}

/** The service does not do what was asked for; after `retry_after_s` it may. */
export interface RefusedMessage {
  type: "refused";
  code: ErrorCode;
  message: string;
  command?: string;
  retry_after_s?: number;
}

/** What the service sends. */
export type ServiceMessage =
  | WelcomeMessage
  | ReadyMessage
  | AwayMessage
  | TranscriptMessage
  | HeardMessage
  | ExpressionMessage
  | InterruptedMessage
  | ToolMessage
  | PausedMessage
  | ResumedMessage
  | HeldMessage
  | ReleasedMessage
  | MutedMessage
  | EndingMessage
  | EndedMessage
  | RefusedMessage
  | { type: "pong" }
  /** WebSocket only: all audio before it is to be told of once it was played or dropped. */
  | { type: "mark"; name: string }
  /** WebSocket only: all audio that was not played yet is to be dropped. */
  | { type: "clear" };

/** What the page sends. */
export type PageMessage =
  | { type: "pause" }
  | { type: "resume" }
  | { type: "text"; text: string }
  | { type: "mute"; muted: boolean }
  | { type: "end" }
  | { type: "ping" }
  | { type: "mark"; name: string }
  | HelloMessage;

/** First message on a WebSocket, with either `token` or `key`. */
export interface HelloMessage {
  type: "hello";
  token?: string;
  key?: string;
  since?: number;
  capture_rate_hz: number;
  playback_rate_hz: number;
  microphone: boolean;
}
