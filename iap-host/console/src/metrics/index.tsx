import { useMemo, useState } from "preact/hooks";

import { queryString } from "../api/client";
import { useGet, useStatus } from "../api/hooks";
import type { MetricInfo, MetricNames } from "../api/types";
import { useText } from "../i18n";
import { setQuery, useLocation } from "../router";
import { Answer, reachable, readWindow, WindowSelect } from "../ui/parts";
import { MetricChart } from "./metric";

/** Rows that are drawn; a search finds the others. */
const ROWS = 200;

export function Metrics() {
  const t = useText();
  const { query } = useLocation();
  const last_s = readWindow(query);
  const names = useGet<MetricNames>(`/api/metrics/names${queryString({ last_s })}`);
  const name = query.get("name");
  const kind = query.get("kind");
  const known = names.data?.metrics;
  const chosen = known?.find((metric) => metric.name === name && (!kind || metric.kind === kind));
  const shown = chosen ?? (name ? undefined : known?.[0]);
  return (
    <>
      <div class="filters">
        <WindowSelect seconds={last_s} choose={(seconds) => setQuery({ last_s: seconds })} />
        <button type="button" onClick={names.reload}>
          {t.refresh}
        </button>
      </div>
      <Answer of={names}>
        {(data) =>
          data.metrics.length === 0 ? (
            <NoMetrics />
          ) : (
            <div class="metrics" aria-busy={names.loading}>
              <MetricList metrics={data.metrics} shown={shown} />
              {shown ? (
                <MetricChart key={`${shown.name} ${shown.kind}`} metric={shown} last_s={last_s} turn={data} />
              ) : (
                <p class="note">{t.metricGone}</p>
              )}
            </div>
          )
        }
      </Answer>
    </>
  );
}

function MetricList({ metrics, shown }: { metrics: MetricInfo[]; shown: MetricInfo | undefined }) {
  const t = useText();
  const [text, setText] = useState("");
  const found = useMemo(() => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    return metrics.filter((metric) => {
      const all = [metric.name, metric.description, ...metric.services].join(" ").toLowerCase();
      return words.every((word) => all.includes(word));
    });
  }, [metrics, text]);
  return (
    <section class="panel metric-list">
      <label class="field">
        <span>{t.searchMetrics}</span>
        <input type="search" value={text} onInput={(event) => setText(event.currentTarget.value)} />
      </label>
      {found.length === 0 && <p class="note">{t.noMetricMatches}</p>}
      <ul>
        {found.slice(0, ROWS).map((metric) => (
          <li key={`${metric.name} ${metric.kind}`}>
            <button
              type="button"
              aria-pressed={metric === shown}
              onClick={() =>
                setQuery({ name: metric.name, kind: metric.kind, fn: null, by: null, where: null, service: null })
              }
            >
              <strong>{metric.name}</strong>
              <span>
                {t.metricKinds[metric.kind]} · {metric.services.join(", ")}
              </span>
            </button>
          </li>
        ))}
      </ul>
      {found.length > ROWS && <p class="hint">{t.moreMetrics(String(found.length - ROWS))}</p>}
    </section>
  );
}

/** Says what to send where. */
function NoMetrics() {
  const t = useText();
  const otlp = useStatus()?.facts?.addresses.otlp;
  return (
    <div class="empty">
      <strong>{t.noMetricsYet}</strong>
      <p>{t.sendMetrics}</p>
      <pre class="example">
        {[
          "OTEL_SERVICE_NAME=my-service",
          "OTEL_METRICS_EXPORTER=otlp",
          "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
          `OTEL_EXPORTER_OTLP_ENDPOINT=http://${reachable(otlp ?? "127.0.0.1:4318")}`,
          "OTEL_METRIC_EXPORT_INTERVAL=15000",
        ].join("\n")}
      </pre>
    </div>
  );
}
