import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import type { Transaction, TreeNode } from "../api/types";
import { duration, number } from "../format";
import { useText } from "../i18n";
import { Icon } from "../ui/icons";
import { Panel } from "../ui/parts";
import { type LogRow, type Row, type SpanRow, allNodes, began, extent, isError, rows, services, statement } from "./tree";

const ROW = 28;
/** Rows drawn above and below what is visible. */
const MARGIN = 12;
const DEEPEST_INDENT = 14;

interface Props {
  transaction: Transaction;
  chosen: string | null;
  choose: (span: string) => void;
}

interface View {
  from_us: number;
  to_us: number;
  services: string[];
  /** Times as they were told, whatever clocks say. */
  raw: boolean;
}

export function Waterfall({ transaction, chosen, choose }: Props) {
  const t = useText();
  const { roots } = transaction.tree;
  const [collapsed, setCollapsed] = useState<ReadonlySet<string>>(new Set());
  const [logs, setLogs] = useState(true);
  const [raw, setRaw] = useState(false);
  const shown = useMemo(() => rows(roots, collapsed, logs), [roots, collapsed, logs]);
  const nodes = useMemo(() => allNodes(roots), [roots]);
  const skewed = nodes.some((node) => node.skew_us);
  const view = useMemo(() => ({ ...extent(nodes, raw), services: services(transaction), raw }), [nodes, raw]);
  const toggle = (span: string, close = !collapsed.has(span)) => {
    const next = new Set(collapsed);
    if (close) next.add(span);
    else next.delete(span);
    setCollapsed(next);
  };
  const collapseAll = () => {
    const inner = nodes.filter((node) => node.children.length > 0 && !roots.includes(node));
    setCollapsed(new Set(inner.map((node) => node.span.span_id)));
  };
  return (
    <Panel
      class="waterfall"
      title={t.callTree}
      side={
        <>
          {skewed && (
            <label class="check" title={t.rawTimesWhy}>
              <input type="checkbox" checked={raw} onChange={(event) => setRaw(event.currentTarget.checked)} />
              {t.rawTimes}
            </label>
          )}
          <label class="check">
            <input type="checkbox" checked={logs} onChange={(event) => setLogs(event.currentTarget.checked)} />
            {t.showLogs}
          </label>
          <button type="button" onClick={() => setCollapsed(new Set())}>
            {t.expandAll}
          </button>
          <button type="button" onClick={collapseAll}>
            {t.collapseAll}
          </button>
        </>
      }
    >
      <ul class="services">
        {view.services.map((service, index) => (
          <li key={service}>
            <span class={`service-dot service-${index % 8}`} />
            {service}
          </li>
        ))}
        <li class="path-key">
          <span class="bar-critical" />
          {t.criticalPath}
        </li>
        <li class="spans-count">{t.spans(number(transaction.span_count))}</li>
      </ul>
      <Ruler view={view} />
      <Rows shown={shown} view={view} chosen={chosen} choose={choose} collapsed={collapsed} toggle={toggle} />
    </Panel>
  );
}

function Ruler({ view }: { view: View }) {
  const t = useText();
  const total = view.to_us - view.from_us;
  return (
    <div class="ruler" aria-hidden="true">
      <span />
      <span class="ruler-ticks">
        {[0, 0.25, 0.5, 0.75, 1].map((share) => (
          <i key={share} style={{ left: `${share * 100}%` }}>
            {share === 0 ? "0" : duration(total * share)}
          </i>
        ))}
      </span>
      <span class="num">{t.selfTime}</span>
    </div>
  );
}

interface RowsProps {
  shown: Row[];
  view: View;
  chosen: string | null;
  choose: (span: string) => void;
  collapsed: ReadonlySet<string>;
  toggle: (span: string, close?: boolean) => void;
}

/** What the keys do in a tree, as ARIA's practices have it. */
function keys(
  spans: SpanRow[],
  chosen: string | null,
  collapsed: ReadonlySet<string>,
  goTo: (row: SpanRow | undefined) => void,
  toggle: RowsProps["toggle"],
): Record<string, () => void> {
  const at = spans.findIndex((row) => row.node.span.span_id === chosen);
  const row = spans[at];
  const id = row?.node.span.span_id ?? "";
  const open = row !== undefined && hasInside(row.node) && !collapsed.has(id);
  return {
    ArrowDown: () => goTo(spans[at + 1]),
    ArrowUp: () => goTo(spans[at - 1]),
    Home: () => goTo(spans[0]),
    End: () => goTo(spans.at(-1)),
    ArrowRight: () => row && (open ? goTo(spans[at + 1]) : toggle(id, false)),
    ArrowLeft: () => row && (open ? toggle(id, true) : goTo(spans.find((other) => other.node.span.span_id === row.parent))),
  };
}

/** Only the rows in sight are in the document, so that thousands stay quick. */
function Rows({ shown, view, chosen, choose, collapsed, toggle }: RowsProps) {
  const t = useText();
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [height, setHeight] = useState(600);
  useEffect(() => {
    const observer = new ResizeObserver(() => setHeight(box.current?.clientHeight ?? 600));
    observer.observe(box.current!);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    // What was chosen for the reader has to be in sight.
    const at = shown.findIndex((row) => row.kind === "span" && row.node.span.span_id === chosen);
    box.current!.scrollTop = Math.max(0, at * ROW - box.current!.clientHeight / 2);
  }, []);
  const spans = shown.filter((row): row is SpanRow => row.kind === "span");
  const goTo = (row: SpanRow | undefined) => {
    if (!row) return;
    choose(row.node.span.span_id);
    const at = shown.indexOf(row) * ROW;
    const element = box.current!;
    if (at < element.scrollTop) element.scrollTop = at;
    else if (at + ROW > element.scrollTop + element.clientHeight) element.scrollTop = at + ROW - element.clientHeight;
  };
  const key = (event: KeyboardEvent) => {
    const act = keys(spans, chosen, collapsed, goTo, toggle)[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  };
  const first = Math.max(0, Math.floor(top / ROW) - MARGIN);
  const visible = shown.slice(first, Math.ceil((top + height) / ROW) + MARGIN);
  return (
    <div
      class="rows"
      ref={box}
      role="tree"
      aria-label={t.callTree}
      aria-activedescendant={chosen ? `span-${chosen}` : undefined}
      tabIndex={0}
      onScroll={(event) => setTop(event.currentTarget.scrollTop)}
      onKeyDown={key}
    >
      <div class="rows-all" role="presentation" style={{ height: `${shown.length * ROW}px` }}>
        {visible.map((row, index) => {
          const offset = `${(first + index) * ROW}px`;
          if (row.kind === "log")
            return <LogLineRow key={`log ${first + index}`} row={row} view={view} top={offset} choose={choose} />;
          const id = row.node.span.span_id;
          return (
            <SpanLine
              key={id}
              row={row}
              view={view}
              top={offset}
              chosen={id === chosen}
              closed={collapsed.has(id)}
              choose={choose}
              toggle={toggle}
            />
          );
        })}
      </div>
    </div>
  );
}

const hasInside = (node: TreeNode) => node.children.length > 0 || node.logs.length > 0;
const indent = (depth: number) => ({ paddingLeft: `${Math.min(depth, DEEPEST_INDENT) * 14 + 4}px` });

/** Where a bar's duration is written: in it when it is wide, else on the side with room. */
function timePlace(left: number, width: number): { inside: boolean; style: Record<string, string> } {
  if (width > 18) return { inside: true, style: { right: `${100 - left - width}%` } };
  if (left + width > 80) return { inside: false, style: { right: `${100 - left}%` } };
  return { inside: false, style: { left: `${left + width}%` } };
}

interface SpanLineProps {
  row: SpanRow;
  view: View;
  top: string;
  chosen: boolean;
  closed: boolean;
  choose: (span: string) => void;
  toggle: (span: string) => void;
}

function SpanLine({ row, view, top, chosen, closed, choose, toggle }: SpanLineProps) {
  const t = useText();
  const { node, depth } = row;
  const { span } = node;
  const total = view.to_us - view.from_us;
  const failed = isError(span);
  const left = (100 * (began(node, view.raw) - view.from_us)) / total;
  const skew = view.raw ? 0 : (node.skew_us ?? 0);
  const critical = node.critical_us > 0;
  const width = (100 * span.duration_us) / total;
  const name = statement(span)?.replace(/\s+/g, " ") ?? span.name;
  const inside = hasInside(node);
  const place = timePlace(left, width);
  return (
    <div
      id={`span-${span.span_id}`}
      class={`row ${chosen ? "row-chosen" : ""} ${failed ? "row-failed" : ""}`}
      role="treeitem"
      aria-level={depth + 1}
      aria-selected={chosen}
      aria-expanded={inside ? !closed : undefined}
      style={{ top }}
      onClick={() => choose(span.span_id)}
    >
      <span class="row-name" style={indent(depth)} title={name}>
        <span
          class={`row-toggle ${inside ? "" : "row-leaf"}`}
          aria-hidden="true"
          title={closed ? t.expand : t.collapse}
          onClick={(event) => {
            event.stopPropagation();
            if (inside) toggle(span.span_id);
          }}
        >
          {inside && <Icon name={closed ? "right" : "down"} />}
        </span>
        <span class={`service-dot service-${view.services.indexOf(span.service) % 8}`} title={span.service} />
        {failed && (
          <span class="bad-text" role="img" aria-label={t.failure}>
            ✕
          </span>
        )}
        {node.skew_us && (
          <span
            class="warn-text"
            role="img"
            aria-label={t.skewOf(duration(Math.abs(node.skew_us)), node.skew_us > 0)}
            title={t.skewOf(duration(Math.abs(node.skew_us)), node.skew_us > 0)}
          >
            <Icon name="clock" />
          </span>
        )}
        <span class={`row-text ${statement(span) ? "mono" : ""}`}>{name}</span>
      </span>
      <span class="row-track">
        <span
          class={`bar service-${view.services.indexOf(span.service) % 8} ${failed ? "bar-failed" : ""}`}
          style={{ left: `${left}%`, width: `${width}%` }}
        />
        {critical && (
          <span
            class="bar-critical"
            role="img"
            aria-label={t.onCriticalPath(duration(node.critical_us))}
            title={t.onCriticalPath(duration(node.critical_us))}
            style={{ left: `${left}%`, width: `${width}%` }}
          />
        )}
        {(span.events ?? []).map((event, index) => (
          <span
            key={index}
            class={`mark ${event.name === "exception" ? "mark-bad" : ""}`}
            title={`${event.name} +${duration(Math.max(0, event.time_us - skew - view.from_us))}`}
            style={{ left: `${Math.min(100, Math.max(0, (100 * (event.time_us - skew - view.from_us)) / total))}%` }}
          />
        ))}
        <span class={`bar-time ${place.inside ? "bar-inside" : ""}`} style={place.style}>
          {duration(span.duration_us)}
        </span>
      </span>
      <span class="row-self num">
        <span class="unseen">{t.selfTime} </span>
        {duration(node.self_us)}
      </span>
    </div>
  );
}

function LogLineRow(props: { row: LogRow; view: View; top: string; choose: (span: string) => void }) {
  const { line, depth, owner, skew_us } = props.row;
  const { from_us, to_us, raw } = props.view;
  const at = line.time_us - (raw ? 0 : skew_us) - from_us;
  const left = Math.min(100, Math.max(0, (100 * at) / (to_us - from_us)));
  return (
    <div class="row row-log" role="none" style={{ top: props.top }} onClick={() => props.choose(owner)}>
      <span class="row-name" style={indent(depth)} title={line.message}>
        <span class="row-leaf row-toggle" />
        <span class={`level level-${line.level}`}>{line.level}</span>
        <span class="row-text">{line.message}</span>
      </span>
      <span class="row-track">
        <span class={`tick level-${line.level}`} style={{ left: `${left}%` }} />
      </span>
      <span class="row-self num">+{duration(Math.max(0, at))}</span>
    </div>
  );
}
