/** The admin API, as in docs/admin-api.md. `*_us` are microseconds, `*_ms` milliseconds. */

export interface Problem {
  status: number;
  title?: string;
  detail?: string;
  kind?: string;
}

export type Dropped = Record<string, number>;

export interface Addresses {
  http: string;
  https: string | null;
  admin: string;
  otlp: string | null;
  session_api: string | null;
}

export interface RouteFact {
  name: string;
  host: string | null;
  path: string;
  target: string;
}

export interface Facts {
  version: string;
  started_ms: number;
  addresses: Addresses;
  sessions: { store: string } | null;
  apm: { history: string | null } | null;
  routes: RouteFact[];
}

export interface Status {
  facts: Facts | null;
  dropped: Dropped | null;
  ledger: Record<Accounted, Account> | null;
  ready: boolean;
}

export type Accounted = "transactions" | "spans" | "logs" | "received_spans" | "received_logs" | "received_points";

export interface Account {
  made: number;
  kept: number;
  sampled_out: number;
  dropped: number;
}

export interface AwaitView {
  awaited: { at: string | null; frames: string[] }[];
  busy: number;
  ready: number;
}

export interface Second {
  start_us: number;
  count: number;
  errors: number;
  p50_us: number;
  p95_us: number;
  p99_us: number;
}

export interface Active {
  trace_id: string;
  start_us: number;
  running_us: number;
  method: string;
  path: string;
  route: string;
  stage: string | null;
  user: string | null;
  client: string | null;
  span_id: string;
  stage_us: number;
  upstream: string | null;
  server: string | null;
  session: string | null;
  tasks: number;
}

/** How long the running requests of a route have been running, by `bands_us`. */
export interface ActiveRoute {
  route: string;
  bands: number[];
  slowest_us: number;
}

export interface ActiveView {
  now_us: number;
  running: number;
  listed: number;
  bands_us: number[];
  routes: ActiveRoute[];
  requests: Active[];
  noted_us: number;
}

/** In flight when the process before this one ended without notice. */
export interface Interrupted extends Active {
  seen_us: number;
}

export interface TimelineEvent {
  time_us: number;
  duration_us: number;
  kind: string;
  node: string;
  text: string;
  /** How long it and the transaction lasted together. */
  overlap_us?: number;
  /** Whether it happened to what has served a part of the transaction. */
  served?: boolean;
  /** Whether its node is none that the transaction is known to have run on. */
  elsewhere?: boolean;
}

export interface Timeline {
  window: TimeWindow;
  events: TimelineEvent[];
}

export interface Jvm {
  pid: number;
  name: string;
  /** Which of several: a number, an address, or the process id. */
  instance: string;
  version: string;
  uid: number;
}

export interface JvmAnswer {
  pid: number;
  text: string;
  truncated: boolean;
}

export interface RuntimeView {
  time_us: number;
  node: string;
  interval_ms: number;
  readings: { name: string; kind: string; unit: string; labels: Record<string, string>; value: number }[];
  jvms: Jvm[];
}

export interface Point {
  seq: number;
  trace_id: string;
  start_us: number;
  duration_us: number;
  status: number;
  failed: boolean;
  route: string;
  /** How many transactions it stands for, itself included. */
  weight: number;
}

export interface SessionStats {
  backend: string;
  live: number;
  exact: boolean;
  bytes: number | null;
  expired: number;
  evicted: number;
}

export interface Live {
  live: { now_us: number; seconds: Second[]; active: Active[]; active_count: number };
  recent: { points: Point[]; next_seq: number; missed: number };
  sessions: SessionStats | null;
  /** Different users in the last minute, by each kind of identity that is counted. */
  users: { by: string; now: number }[] | null;
  dropped: Dropped;
}

export interface Summary {
  trace_id: string;
  span_id: string;
  parent_id: string | null;
  source: string;
  service: string;
  start_us: number;
  duration_us: number;
  method: string;
  path: string;
  host: string;
  route: string;
  status: number;
  failed: boolean;
  error: string | null;
  message: string | null;
  user: string | null;
  session: string | null;
  client: string | null;
  bytes_out: number | null;
  /** How many transactions it stands for, itself included; 0 when another one counts it. */
  weight: number;
}

export interface TransactionPage {
  items: Summary[];
  next: string | null;
}

export type Attributes = Record<string, unknown>;

export interface SpanEvent {
  time_us: number;
  name: string;
  attributes?: Attributes;
}

export interface SpanLink {
  trace_id: string;
  span_id: string;
  attributes?: Attributes;
}

/** A span of another trace that links to one of this. */
export interface LinkedFrom extends SpanLink {
  start_us: number;
  target: string;
  name: string;
  service: string;
}

export interface Span {
  span_id: string;
  parent_id: string | null;
  name: string;
  kind: string;
  service: string;
  start_us: number;
  duration_us: number;
  status: string;
  error?: string | null;
  attributes?: Attributes;
  events?: SpanEvent[];
  links?: SpanLink[];
  /** Attributes, events and links that were left out. */
  dropped?: number;
}

export interface LogLine {
  time_us: number;
  level: string;
  target: string;
  message: string;
  fields?: Attributes;
  service: string;
  trace_id?: string | null;
  span_id?: string | null;
}

export interface Logs {
  lines: LogLine[];
}

export interface LogPattern {
  pattern: string;
  service: string;
  level: string;
  count: number;
  first_us: number;
  last_us: number;
  trace_id: string | null;
}

export interface LogPatterns {
  /** Lines that were looked at. */
  read: number;
  /** Whether those are all that match. */
  complete: boolean;
  patterns: LogPattern[];
}

export interface TreeNode {
  span: Span;
  self_us: number;
  /** The part of its own time that the end of the root waited for. */
  critical_us: number;
  /** How far its clock seems to be ahead; left out where it is right. */
  skew_us?: number;
  logs: LogLine[];
  children: TreeNode[];
}

export interface Transaction {
  trace_id: string;
  summary: Summary | null;
  span_count: number;
  truncated: boolean;
  tree: { roots: TreeNode[]; logs: LogLine[] };
  linked_from: LinkedFrom[];
  /** Events of the node that it met. */
  events: TimelineEvent[];
}

export interface TimeWindow {
  from_us: number;
  to_us: number;
}

export interface RouteStats {
  route: string;
  count: number;
  errors: number;
  /** 0 to 1; null where it is not known. */
  apdex: number | null;
  p50_us: number;
  p95_us: number;
  p99_us: number;
  max_us: number;
  total_us: number;
}

export interface RoutesAnswer {
  window: TimeWindow;
  routes: RouteStats[];
}

export interface Series {
  window: TimeWindow;
  step_us: number;
  points: Second[];
}

export interface SessionRow {
  key: string;
  user: string | null;
  version: number;
  created_ms: number;
  accessed_ms: number;
  deadline_ms: number;
  attributes: number;
  bytes: number;
  /** Addresses, or the networks that they are in. */
  address: string | null;
  login_address: string | null;
  node: string | null;
  route: string | null;
}

export interface SessionPage {
  sessions: SessionRow[];
  next: string | null;
  looked_at: number;
  complete: boolean;
  stats: SessionStats;
}

export interface SessionEntry {
  name: string;
  bytes: number;
}

export interface SessionDetail extends SessionRow {
  entries: SessionEntry[];
}

export interface Revoked {
  looked_at: number;
  matched: number;
  ended: number;
  failed: number;
  next: string | null;
}

export interface SessionEvent {
  id: string;
  at_ms: number;
  kind: string;
  key?: string;
  user?: string;
  previous?: string;
  by?: string;
  reason?: string;
  node?: string;
}

export interface SessionEventPage {
  events: SessionEvent[];
  next: string;
}

export type Unit =
  | "count"
  | "us"
  | "percent"
  | "per_second"
  | "times"
  | "bytes"
  | "time"
  | "text"
  | "route"
  | "trace"
  | "code";

/** A number in the unit of its column, a text, or nothing. */
export type Cell = number | string | null;

export interface FactColumn {
  name: string;
  label: string;
  unit: Unit;
}

export interface FactTable {
  name: string;
  label: string;
  columns: FactColumn[];
  rows: Cell[][];
  more: number;
  source: string;
}

export interface FactChart {
  name: string;
  label: string;
  unit: Unit;
  points: [number, number][];
  band: [number, number, number][];
  source: string;
}

export interface Facts {
  sentences: { text: string }[];
  tables: FactTable[];
  charts: FactChart[];
  advice: FactAdvice[];
}

export interface Figure {
  name: string;
  value: Cell;
  unit: string;
}

export interface FactAdvice {
  text: string;
  sentence: { figures: Figure[] };
  config_key: string | null;
}

export interface Answer {
  question: { intent: string; language: string };
  outcome: string;
  window: { start: string; end: string; tz: string } | null;
  facts: Facts | null;
  evidence: string[];
  suggestions: string[];
  text: string;
  understood: "template" | "model";
  wording: "template" | "model";
  wording_reason: string | null;
  model: string | null;
  runbooks: { origin: "runbook" | "incident"; file: string; heading: string; excerpt: string }[];
}

/** A step on the way to an answer. */
export type AskStep =
  | { step: "understood"; intent: string; by: "template" | "model" }
  | { step: "looked_at"; what: string }
  | { step: "asking"; provider: string; model: string }
  | { step: "failed"; provider: string; why: string };

export interface Audience {
  application: string | null;
  applications: string[];
  window_s: number;
  step_s: number;
  kinds: { by: string; now: number; window: number; points: { at_ms: number; users: number }[] }[];
}

export type MetricKind = "gauge" | "counter" | "up_down_counter" | "histogram" | "exponential_histogram" | "summary";

export interface MetricInfo {
  name: string;
  kind: MetricKind;
  unit: string;
  description: string;
  services: string[];
  labels: string[];
  series: number;
}

export interface MetricNames {
  window: TimeWindow;
  metrics: MetricInfo[];
}

export interface MetricAnswer {
  kind: MetricKind | null;
  unit: string;
  function: string | null;
  window: TimeWindow;
  step_us: number;
  groups: { labels: Record<string, string>; values: (number | null)[] }[];
  left_out: number;
  /** Values with the trace that each was measured in. */
  exemplars: { time_us: number; value: number; trace_id: string; span_id: string | null }[];
}

export interface Evidence {
  kind: "trace" | "series" | "server" | "change" | "log";
  id: string;
}

export interface Incident {
  id: number;
  state: "open" | "acknowledged" | "resolved";
  severity: "notice" | "warning" | "critical";
  began_s: number;
  detected_s: number;
  resolved_s: number | null;
  cause: {
    kind: string;
    name: string;
    service: string | null;
    upstream: string | null;
    impact: { transactions: number; affected: number };
    evidence: Evidence[];
    others: { kind: string; name: string; confidence: number }[];
  };
  acks: { at_s: number; who: string; note: string }[];
  previous: number | null;
  story: {
    title: string;
    when: string;
    impact: string;
    cause: string;
    signals: string[];
    advice: string;
    disproof: string;
  };
}

export interface IncidentList {
  incidents: Incident[];
  more: number;
  watched: { series: number; left_out: number; log_templates: number; rounds: number };
}

export type Severity = "info" | "warning" | "critical";

export interface WatchedThing {
  group: Record<string, string>;
  value: number | null;
  broken_since_us: number | null;
  alert: string | null;
  seen_us: number;
}

export interface RuleState {
  name: string;
  description: string | null;
  severity: Severity;
  condition: string;
  condition_ko: string;
  watched: WatchedThing[];
  error: string | null;
  channels: string[];
}

export interface Silence {
  id: string;
  rule: string | null;
  group: Record<string, string>;
  until_us: number;
  by: string;
  reason: string;
}

export interface ChannelStatus {
  sent: number;
  failed: number;
  dropped: number;
  waiting: number;
  last_error: string | null;
}

export interface AlertsAnswer {
  rules: RuleState[];
  silences: Silence[];
  channels: Record<string, ChannelStatus>;
}

export interface AlertEvent {
  id: string;
  rule: string;
  group: Record<string, string>;
  severity: Severity;
  edge: "firing" | "resolved";
  value: number | null;
  bound: number | null;
  since_us: number;
  at_us: number;
  trace_id: string | null;
  untold?: string;
}
