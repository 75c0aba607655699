/** What is below the figures of routes, as the API answers it. */

export interface WindowUs {
  from_us: number;
  to_us: number;
}

/** A scatter: a column each. `since_us` is since the point before, the first since the window's begin. */
export interface PointsAnswer {
  window: WindowUs;
  count: number;
  errors: number;
  kept: number;
  routes: string[];
  points: {
    since_us: number[];
    duration_us: number[];
    status: number[];
    route: number[];
    failed: number[];
    weight: number[] | null;
    trace_id: string[] | null;
  };
  grid: GridAnswer | null;
}

export interface GridAnswer {
  column_us: number;
  levels_us: number[];
  column: number[];
  level: number[];
  count: number[];
  errors: number[];
}

export type SpanColumn = "service" | "name" | "kind" | "status";

export interface SpanGroup {
  values: string[];
  count: number;
  errors: number;
  total_us: number;
  p50_us: number;
  p95_us: number;
  p99_us: number;
  max_us: number;
}

export interface SpanGroups {
  window: WindowUs;
  spans: number;
  found: number;
  groups: SpanGroup[];
}

export interface Basis {
  window: WindowUs;
  transactions: number;
  kept: number;
  traces: number;
  spans: number;
  truncated: boolean;
  factor: number;
}

export interface Example {
  trace_id: string;
  span_id: string;
  start_us: number;
  duration_us: number;
}

export interface Statement {
  id: string;
  text: string;
  system: string | null;
  services: string[];
  routes: string[];
  count: number;
  errors: number;
  total_us: number;
  mean_us: number;
  p50_us: number;
  p95_us: number;
  p99_us: number;
  max_us: number;
  rows: number | null;
  share: number;
  example: Example | null;
  detail?: {
    callers: { route: string; service: string; count: number; errors: number; total_us: number; p95_us: number }[];
    step_us: number;
    counts: number[];
    p95_us: number[];
    examples: Example[];
  };
}

export interface StatementAnswer {
  basis: Basis;
  statements: Statement[];
  more: number;
  total_us: number;
  left_out: number;
}

export interface ErrorGroup {
  source: "transaction" | "span";
  kind: string;
  message: string;
  route: string;
  service: string;
  operation: string;
  count: number;
  first_us: number;
  last_us: number;
  examples: Example[];
  series: number[];
}

export interface ErrorAnswer {
  basis: Basis;
  failed: number;
  failed_truncated: boolean;
  window: WindowUs;
  step_us: number;
  groups: ErrorGroup[];
  more: number;
}

export type NodeKind = "clients" | "service" | "upstream" | "database" | "session_store" | "queue" | "external";

export interface MapNode {
  id: string;
  kind: NodeKind;
  name: string;
  calls: number;
  errors: number;
  p50_us: number;
  p95_us: number;
}

export interface MapEdge {
  from: string;
  to: string;
  calls: number;
  errors: number;
  total_us: number;
  p50_us: number;
  p95_us: number;
}

export interface MapAnswer {
  basis: Basis;
  nodes: MapNode[];
  edges: MapEdge[];
  more: number;
}
