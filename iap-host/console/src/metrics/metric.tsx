import { useEffect, useMemo, useRef } from "preact/hooks";

import { queryString } from "../api/client";
import { useGet } from "../api/hooks";
import type { MetricAnswer, MetricInfo, MetricKind } from "../api/types";
import { Chart } from "../charts/chart";
import { usePalette } from "../charts/theme";
import { bytes, duration, time } from "../format";
import { language, useText } from "../i18n";
import { Link, setQuery, useLocation } from "../router";
import { Failure, Loading, Panel } from "../ui/parts";

/** Lines that can be told apart. */
const LINES = 12;
/** Exemplars that are listed. */
const EXEMPLARS = 10;

const COUNTS = ["rate", "sum", "last"];
const LEVELS = ["avg", "min", "max", "last", "sum"];
/** What of it can be computed depends on what its points count from. */
const UP_AND_DOWN = [...LEVELS, "rate"];
const SPREAD = ["p95", "p50", "p99", "avg", "rate", "sum", "min", "max"];

/** What can be computed of each kind, the usual one first. */
const FUNCTIONS: Record<MetricKind, string[]> = {
  counter: COUNTS,
  gauge: LEVELS,
  up_down_counter: UP_AND_DOWN,
  histogram: SPREAD,
  exponential_histogram: SPREAD,
  summary: ["rate", "avg", "sum", "p50", "p95", "p99"],
};

/** A value as its unit reads; other units stand in the title. */
function written(value: number, unit: string, fn: string): string {
  if (fn !== "rate") {
    if (unit === "s" && value >= 0) return duration(value * 1e6);
    if (unit === "ms" && value >= 0) return duration(value * 1e3);
    if (unit === "By" && value >= 0) return bytes(value);
  }
  return new Intl.NumberFormat(language(), { notation: "compact", maximumSignificantDigits: 4 }).format(value);
}

export function MetricChart({ metric, last_s, turn }: { metric: MetricInfo; last_s: number; turn: unknown }) {
  const t = useText();
  const palette = usePalette();
  const { query } = useLocation();
  const functions = FUNCTIONS[metric.kind];
  const asked = query.get("fn");
  const [by, where, service] = [query.get("by"), query.get("where"), query.get("service")];
  const path = `/api/metrics/query${queryString({ name: metric.name, kind: metric.kind, last_s, fn: asked, by, where, service })}`;
  const { data, error, loading, reload } = useGet<MetricAnswer>(path);
  // What is usual for the kind, unless something else is asked for.
  const fn = asked ?? data?.function ?? functions[0]!;
  const read = useRef(turn);
  useEffect(() => {
    // The list was read again, so is the chart.
    if (read.current !== turn) reload();
    read.current = turn;
  }, [turn, reload]);
  const groups = data?.groups.slice(0, LINES) ?? [];
  const columns = useMemo(() => {
    const count = data?.groups[0]?.values.length ?? 0;
    const at = Array.from({ length: count }, (_, step) => ((data?.window.from_us ?? 0) + step * (data?.step_us ?? 0)) / 1e6);
    return [at, ...(data?.groups ?? []).slice(0, LINES).map((group) => group.values)];
  }, [data]);
  const colors = [palette.p50, palette.p95, palette.p99, palette.ok, palette.bad, palette.text];
  const lines = groups.map((group, at) => ({
    name: by ? (group.labels[by] ?? t.none) : fn,
    color: colors[at % colors.length]!,
    ...(at >= colors.length ? { dash: [6, 3] } : {}),
  }));
  const hidden = (data?.groups.length ?? 0) - groups.length + (data?.left_out ?? 0);
  return (
    <Panel class="metric" title={metric.name} side={[t.metricKinds[metric.kind], metric.unit].filter(Boolean).join(" · ")}>
      {metric.description && <p class="hint">{metric.description}</p>}
      <form class="filters" onSubmit={(event) => event.preventDefault()}>
        <Choice label={t.metricFunction} value={fn} values={functions} choose={(value) => setQuery({ fn: value })} />
        <Choice
          label={t.groupBy}
          value={by ?? ""}
          values={["", "service", ...metric.labels]}
          choose={(value) => setQuery({ by: value })}
        />
        <Choice
          label={t.service}
          value={service ?? ""}
          values={["", ...metric.services]}
          choose={(value) => setQuery({ service: value })}
        />
        <label class="field">
          <span>{t.whereLabel}</span>
          <input
            value={where ?? ""}
            placeholder={`${metric.labels[0] ?? "label"}=…`}
            onChange={(event) => setQuery({ where: event.currentTarget.value.trim() })}
          />
        </label>
      </form>
      <div aria-busy={loading}>
        {error ? (
          <Failure error={error} retry={reload} />
        ) : !data ? (
          <Loading />
        ) : groups.length === 0 ? (
          <p class="note">{t.noPoints}</p>
        ) : (
          <Chart
            label={t.metricChart(metric.name, fn, String(groups.length))}
            group="metrics"
            height={280}
            gaps
            palette={palette}
            data={columns}
            lines={lines}
            value={(value) => written(value, data.unit, fn)}
          />
        )}
        {data && data.exemplars.length > 0 && <Exemplars answer={data} />}
        {hidden > 0 && <p class="hint">{t.groupsLeftOut(String(hidden))}</p>}
      </div>
    </Panel>
  );
}

/** Values with the transaction that each was measured in, the largest first. */
function Exemplars({ answer }: { answer: MetricAnswer }) {
  const t = useText();
  const largest = answer.exemplars.toSorted((a, b) => b.value - a.value).slice(0, EXEMPLARS);
  return (
    <>
      <h3>{t.exemplars}</h3>
      <ul class="exemplars">
        {largest.map(({ time_us, value, trace_id, span_id }) => (
          <li key={`${trace_id} ${span_id} ${time_us}`}>
            <Link to={`/transactions/${trace_id}${queryString({ span: span_id, at_us: time_us })}`} title={trace_id}>
              {written(value, answer.unit, "exemplar")}
            </Link>
            <time>{time(time_us)}</time>
          </li>
        ))}
      </ul>
    </>
  );
}

function Choice(props: { label: string; value: string; values: string[]; choose: (value: string) => void }) {
  const t = useText();
  return (
    <label class="field">
      <span>{props.label}</span>
      <select value={props.value} onChange={(event) => props.choose(event.currentTarget.value)}>
        {props.values.map((value) => (
          <option key={value} value={value}>
            {value || t.allOfThem}
          </option>
        ))}
      </select>
    </label>
  );
}
