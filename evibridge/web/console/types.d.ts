/** What the operator API tells, as far as the console reads it, and what the parts of the console hand on. */

/** UTC, as `2026-11-28T09:12:00.123Z`. */
export type Moment = string;
export type Who = "agent" | "caller" | "operator";
export type Scores = Record<string, number>;

export interface Operator {
  name: string;
  scope: "read" | "control";
}

/** `GET /v1/service?since=<Moment>` */
export interface Service {
  at: Moment;
  operator: Operator;
  agent: string;
  lines: number;
  max_lines: number;
  is_draining: boolean;
  /** When a service that ends cuts the calls that go on by then; null if it does not end. */
  stops_at: Moment | null;
  /** Of the answers of the last hour; null if there were none. */
  response_p95_ms: number | null;
  /** Calls that began at or after `since`; null without one. */
  calls_since: number | null;
  records_sound: boolean;
  /** Whether an operator can speak by microphone. */
  has_voice: boolean;
  /** Telephone number of the service, if it has one of its own. */
  number: string | null;
  transfer_targets: { name: string; to: string }[];
  /** Empty for a token that only reads. */
  ice_servers: RTCIceServer[];
}

export type State =
  | "ringing" | "connecting" | "listening" | "caller_speaking" | "agent_speaking" | "tool_running"
  | "paused" | "held" | "taken_over" | "reconnecting" | "needs_approval" | "ending" | "ended";

export interface Approval {
  tool_call_id: string;
  name: string;
  expires_in_s: number;
  parameters?: string;
}

export interface Summary {
  call_id: string;
  kind: "phone" | "browser" | "sidecar";
  direction: "inbound" | "outbound";
  state: State;
  began_at: Moment;
  lasts_s: number;
  agent: string | null;
  caller: string | null;
  called: string | null;
  chat_id: string;
  chat_group_id: string;
  paused_by: string | null;
  held_by: string | null;
  taken_over_by: string | null;
  last_line: { who: Who; text: string } | null;
  expression: { name: string; score: number } | null;
  response_ms: number | null;
  end_reason: string | null;
  approvals: Approval[];
  /** The function that runs, and since when; null if none does. */
  tool: { name: string; since: Moment } | null;
  /** Null as long as the call goes on. */
  ended: Ended | null;
}

export interface Ended {
  at: Moment;
  /** Name of the operator who has hung up or put the caller through; null if none has. */
  by: string | null;
  transferred_to: string | null;
  turns: number;
  interruptions: number;
  tools: number;
  response_p50_ms: number | null;
  response_p95_ms: number | null;
  is_recorded: boolean;
  /** When each side spoke, in seconds of the call: pairs of beginning and end. */
  voices: { caller: [number, number][]; agent: [number, number][] };
}

export interface Line {
  who: Who;
  at_s: number;
  text: string;
  text_heard: string;
  utterance_id: string | null;
  sent_ms: number;
  heard_ms: number;
  is_over: boolean;
}

export interface Snapshot extends Summary {
  seq: number;
  digits: string;
  open_tools: string[];
  caller_is_away: boolean;
  chat_is_ready: boolean;
  lines: Line[];
}

/** A message of an event stream: an event of a call, or `snapshot`, `gap`, `levels`, `summaries`. */
export interface Told {
  type: string;
  call_id: string | null;
  seq?: number;
  at: Moment;
  [member: string]: any;
}

/** Record of an ended call, as docs/records.md describes it; `events` are `Told`. */
export interface CallRecord {
  call_id: string;
  began_at: Moment;
  ended_at: Moment;
  lasts_s: number;
  end_reason: string;
  turns: any[];
  events: Told[];
  recording: { file: string | null; seconds: number; rate_hz: number; failure: string | null } | null;
  [member: string]: any;
}

/** A row of the transcript. Its key never changes; rows stand in the order of their keys' insertion. */
export type Row = UtteranceRow | ToolRow | EventRow;

export interface UtteranceRow {
  kind: "utterance";
  key: number;
  /** Seconds since the call began. */
  atS: number;
  who: Who;
  /** Name of the operator who speaks; null for the other two. */
  by: string | null;
  /** What is final of it. Of the agent's: what was heard, or will be as far as is known. */
  text: string;
  /** What will not be heard of it any more: struck through. */
  unheard: string;
  /** Not final yet: replaced in place. */
  interim: string;
  /** Put in writing: by the caller, or in his place. */
  isTyped: boolean;
  /** How long the caller waited for this answer. */
  responseMs: number | null;
  scores: Scores | null;
}

export interface ToolRow {
  kind: "tool";
  key: number;
  atS: number;
  toolCallId: string;
  name: string;
  /** JSON text. */
  parameters: string;
  state: "waiting" | "running" | "done" | "failed";
  /** What the model was told. */
  result: string | null;
  outcome: string | null;
  durationMs: number | null;
  path: "socket" | "mirror" | "webhook";
  /** "Approved by Sam", or null. */
  decision: string | null;
}

export interface EventRow {
  kind: "event";
  key: number;
  atS: number;
  icon: string;
  /** The fact, as "Caller interrupted." */
  fact: string;
  /** What else there is to say of it, as "5.8 of 8.1 s heard". */
  rest: string;
}

export interface WaitingTool {
  toolCallId: string;
  name: string;
  parameters: string;
  /** In ms of the server's clock, as `ServerClock.now()`. */
  expiresAt: number;
  timeoutS: number;
}

/** All times in seconds since the call began. `toS` is null for what goes on. */
export interface Span {
  fromS: number;
  toS: number | null;
}
export interface Timeline {
  turns: (Span & { who: Who; heardToS: number | null; rowKey: number })[];
  tools: (Span & { name: string; isWaiting: boolean; isFailed: boolean })[];
  gaps: (Span & { why: string })[];
  interruptions: number[];
  /** Loudness, RMS from 0 to 1, one value for each 50 ms from `levelsFromS` on; NaN where nobody has measured. */
  levelsFromS: number;
  callerLevels: number[];
  agentLevels: number[];
}

export interface Figures {
  /** The five strongest means of the call of each side, strongest first; empty without scores. */
  expression: { caller: ExpressionSeries[]; agent: ExpressionSeries[] };
  responses: { atS: number; ms: number; rowKey: number | null }[];
  medianMs: number | null;
  p95Ms: number | null;
  /** Label and value, in the order in which they are shown. `code` values are set in monospace. */
  facts: { label: string; value: string; isCode?: boolean }[];
}
export interface ExpressionSeries {
  name: string;
  latest: number;
  points: { atS: number; score: number }[];
}
