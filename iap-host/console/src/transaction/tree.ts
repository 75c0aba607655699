/** The tree as rows: what is shown, in order. */
import type { LogLine, Span, Transaction, TreeNode } from "../api/types";

export interface SpanRow {
  kind: "span";
  node: TreeNode;
  depth: number;
  parent: string | null;
}

export interface LogRow {
  kind: "log";
  line: LogLine;
  /** As in its span. */
  skew_us: number;
  depth: number;
  owner: string;
}

export type Row = SpanRow | LogRow;

/** Rows in depth-first order, without what is inside collapsed spans. */
export function rows(roots: TreeNode[], collapsed: ReadonlySet<string>, logs: boolean): Row[] {
  const out: Row[] = [];
  const stack: SpanRow[] = [];
  const push = (nodes: TreeNode[], depth: number, parent: string | null) => {
    for (const node of nodes.toReversed()) stack.push({ kind: "span", node, depth, parent });
  };
  push(roots, 0, null);
  for (let row = stack.pop(); row; row = stack.pop()) {
    out.push(row);
    const { span, children, logs: lines } = row.node;
    if (collapsed.has(span.span_id)) continue;
    if (logs) for (const line of lines) out.push({ kind: "log", line, skew_us: row.node.skew_us ?? 0, depth: row.depth + 1, owner: span.span_id });
    push(children, row.depth + 1, span.span_id);
  }
  return out;
}

export function allNodes(roots: TreeNode[]): TreeNode[] {
  return rows(roots, new Set(), false).flatMap((row) => (row.kind === "span" ? [row.node] : []));
}

/** When it began, by the clock of the root or as its own clock said. */
export const began = (node: TreeNode, raw: boolean): number => node.span.start_us - (raw ? 0 : (node.skew_us ?? 0));

/** From the first start to the last end. */
export function extent(nodes: TreeNode[], raw: boolean): { from_us: number; to_us: number } {
  let [from, to] = [Infinity, 0];
  for (const node of nodes) {
    const start = began(node, raw);
    from = Math.min(from, start);
    to = Math.max(to, start + node.span.duration_us);
  }
  return { from_us: from, to_us: Math.max(to, from + 1) };
}

export const isError = (span: Span): boolean => span.status === "error" || Boolean(span.error);

export function statement(span: Span): string | null {
  const text = span.attributes?.["db.query.text"] ?? span.attributes?.["db.statement"];
  return typeof text === "string" && text !== "" ? text : null;
}

/** Where to look first: the deepest failed span, else the one that took the most time itself. */
export function interesting(roots: TreeNode[]): string | null {
  let found: SpanRow | null = null;
  for (const row of rows(roots, new Set(), false)) {
    if (row.kind !== "span") continue;
    const failed = isError(row.node.span);
    const foundFailed = found !== null && isError(found.node.span);
    const better =
      found === null ||
      (failed !== foundFailed ? failed : failed ? row.depth > found.depth : row.node.self_us > found.node.self_us);
    if (better) found = row;
  }
  return found?.node.span.span_id ?? null;
}

export function services(transaction: Transaction): string[] {
  return [...new Set(allNodes(transaction.tree.roots).map((node) => node.span.service))];
}

/** Attribute values are any JSON; shown as text. */
export function valueText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
