export type Action =
  | { kind: "drain" | "undrain"; upstream: string; server: string }
  | { kind: "weight"; upstream: string; server: string; from: number; to: number }
  | { kind: "limit"; setting: string; from: number; to: number }
  | { kind: "restart"; process: string }
  | { kind: "rollback"; from: number; to: number }
  | { kind: "end_sessions"; filter: Record<string, string> };

export interface By {
  kind: "person" | "assistant" | "detection" | "policy";
  name?: string;
}

/** As `/api/actions` has it. */
export interface Proposal {
  id: number;
  action: Action;
  why: string;
  incident: number | null;
  by: By;
  at_ms: number;
  preview: string[];
  state: "proposed" | "rejected" | "expired" | "running" | "watching" | "done" | "reverted" | "failed";
  decision: { by: By; why: string; at_ms: number } | null;
  outcome: string | null;
  ended_ms: number | null;
}
