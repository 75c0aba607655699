export interface Revision {
  number: number;
  at_ms: number;
  origin: "start" | "file" | "api" | "rollback";
  author: string;
  reason: string;
  parent: number | null;
  restores?: number;
  hash: string;
  state: "pending" | "stable" | "failed" | "interrupted";
  error?: string;
}

export interface Counts {
  requests: number;
  failed: number;
}

export interface Trial {
  revision: number;
  began_ms: number;
  until_ms: number;
  before: Counts;
  after: Counts;
  without_servers: string[];
}

export interface Change {
  path: string;
  kind: "added" | "removed" | "changed";
}

export interface Setting {
  path: string;
  value: unknown;
  source: "default" | "file" | "environment";
}

/** As `/api/config` has it. */
export interface Running {
  revision: Revision;
  hash: string;
  etag: string;
  text: string;
  file: string | null;
  drift: { changes?: Change[]; error?: string } | null;
  trial: Trial | null;
  kept: boolean;
  state: { last_error: string | null };
  settings: Setting[];
  left_out: number;
}

export interface Wrong {
  line: number | null;
  column: number | null;
  message: string;
}

/** What would happen with a text. */
export interface Plan {
  valid: boolean;
  errors: Wrong[];
  diff?: string;
  changes?: Change[];
  needs_hand_over?: string | null;
}

export interface Page {
  revisions: Revision[];
  next: number | null;
  running: number;
}
