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
  source: "default" | "profile" | "file" | "instance" | "environment";
  profile?: string;
}

/** As `/api/config` has it. */
export interface Running {
  revision: Revision;
  hash: string;
  etag: string;
  text: string;
  file: string | null;
  instance: string | null;
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

/** Another instance of the file that a change is about as well. */
export interface OtherInstance {
  name: string;
  kind: Change["kind"];
  changes: Change[];
}

/** What would happen with a text. */
export interface Plan {
  valid: boolean;
  errors: Wrong[];
  diff?: string;
  changes?: Change[];
  instances?: OtherInstance[];
  needs_hand_over?: string | null;
}

/** One of the hosts of the file, as it was met. */
export interface Instance {
  name: string;
  id: string;
  profiles: string[];
  own: boolean;
  here: boolean;
  listen: Record<string, string>;
  admin: string | null;
  state: "running" | "unreachable" | "refused" | "other";
  detail: string | null;
  version: string | null;
  revision: number | null;
  since_ms: number | null;
  in_sync: boolean | null;
}

export interface Profile {
  name: string;
  sets: string[];
  used_by: string[];
}

/** As `/api/instances` has it. */
export interface Instances {
  own: string | null;
  instances: Instance[];
  profiles: Profile[];
  error: string | null;
}

/** What became of a reload of all. */
export interface Reloaded {
  name: string;
  done: boolean;
  changed: string[];
  detail: string | null;
}

export interface Page {
  revisions: Revision[];
  next: number | null;
  running: number;
}
