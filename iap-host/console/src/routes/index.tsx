import { useMemo, useState } from "preact/hooks";

import { queryString } from "../api/client";
import { useGet } from "../api/hooks";
import type { RouteStats, RoutesAnswer, Series } from "../api/types";
import { duration, number, percent } from "../format";
import { useText } from "../i18n";
import type { Dictionary } from "../i18n/en";
import { Rates } from "../overview/rates";
import { Link, setQuery, useLocation } from "../router";
import { Failure, Loading, NoRequests, readWindow, WindowSelect } from "../ui/parts";

interface Column {
  id: string;
  title: (t: Dictionary) => string;
  value: (row: RouteStats) => number;
  text: (row: RouteStats, all_us: number) => string;
}

const COLUMNS: Column[] = [
  { id: "count", title: (t) => t.count, value: (row) => row.count, text: (row) => number(row.count) },
  { id: "errors", title: (t) => t.errorCount, value: (row) => row.errors, text: (row) => number(row.errors) },
  {
    id: "share",
    title: (t) => t.errorShare,
    value: (row) => row.errors / row.count,
    text: (row) => percent(row.errors, row.count),
  },
  {
    id: "apdex",
    title: () => "Apdex",
    value: (row) => row.apdex ?? 1,
    text: (row) => (row.apdex === null ? "–" : number(row.apdex, 2)),
  },
  { id: "p50", title: () => "p50", value: (row) => row.p50_us, text: (row) => duration(row.p50_us) },
  { id: "p95", title: () => "p95", value: (row) => row.p95_us, text: (row) => duration(row.p95_us) },
  { id: "p99", title: () => "p99", value: (row) => row.p99_us, text: (row) => duration(row.p99_us) },
  { id: "max", title: (t) => t.max, value: (row) => row.max_us, text: (row) => duration(row.max_us) },
  {
    id: "total",
    title: (t) => t.timeShare,
    value: (row) => row.total_us,
    text: (row, all_us) => percent(row.total_us, all_us),
  },
];

export function Routes() {
  const t = useText();
  const { query } = useLocation();
  const last_s = readWindow(query);
  const { data, error, loading, reload } = useGet<RoutesAnswer>(`/api/routes${queryString({ last_s })}`);
  const series = useGet<Series>(`/api/series${queryString({ last_s })}`);
  const refresh = () => {
    reload();
    series.reload();
  };
  return (
    <>
      <div class="filters">
        <WindowSelect seconds={last_s} choose={(seconds) => setQuery({ last_s: seconds })} />
        <button type="button" onClick={refresh}>
          {t.refresh}
        </button>
        <span class="hint">{t.routesHint}</span>
      </div>
      <section class="panel" aria-busy={loading}>
        {error ? (
          <Failure error={error} retry={refresh} />
        ) : !data ? (
          <Loading />
        ) : data.routes.length === 0 ? (
          <NoRequests />
        ) : (
          <RouteTable routes={data.routes} last_s={last_s} />
        )}
      </section>
      {series.data && series.data.points.length > 1 && (
        <Rates
          seconds={series.data.points}
          step={series.data.step_us / 1e6}
          side={t.lastMinutes(last_s / 60)}
          group="window"
        />
      )}
    </>
  );
}

function RouteTable({ routes, last_s }: { routes: RouteStats[]; last_s: number }) {
  const t = useText();
  const [order, setOrder] = useState({ id: "total", down: true });
  const sorted = useMemo(() => {
    const { value } = COLUMNS.find((column) => column.id === order.id)!;
    const sign = order.down ? -1 : 1;
    return routes.toSorted((a, b) => sign * (value(a) - value(b)));
  }, [routes, order]);
  const all_us = routes.reduce((sum, row) => sum + row.total_us, 0);
  return (
    <div class="scroll">
      <table class="cards-when-narrow">
        <thead>
          <tr>
            <th scope="col">{t.route}</th>
            {COLUMNS.map((column) => (
              <th
                key={column.id}
                scope="col"
                class="num"
                aria-sort={column.id === order.id ? (order.down ? "descending" : "ascending") : "none"}
              >
                <button
                  type="button"
                  class="sort"
                  onClick={() => setOrder({ id: column.id, down: column.id !== order.id || !order.down })}
                >
                  {column.title(t)}
                  <span aria-hidden="true">{column.id === order.id ? (order.down ? " ↓" : " ↑") : ""}</span>
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {sorted.map((row) => (
            <tr key={row.route}>
              <td data-label={t.route} class="main-cell">
                <Link to={`/transactions${queryString({ last_s, route: row.route, order: "slowest" })}`}>
                  {row.route || t.none}
                </Link>
              </td>
              {COLUMNS.map((column) => (
                <td
                  key={column.id}
                  data-label={column.title(t)}
                  class={`num ${row.errors > 0 && (column.id === "errors" || column.id === "share") ? "bad-text" : ""}`}
                >
                  {column.text(row, all_us)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
