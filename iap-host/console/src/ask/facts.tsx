import { useMemo } from "preact/hooks";

import { queryString } from "../api/client";
import type { Cell, FactChart, FactColumn, FactTable } from "../api/types";
import { Chart } from "../charts/chart";
import { usePalette } from "../charts/theme";
import { useText } from "../i18n";
import { Link } from "../router";
import { Panel } from "../ui/parts";
import { isNumber, show } from "./cells";

/** The query of the admin API that gives the numbers. */
function Source({ source }: { source: string }) {
  const t = useText();
  return (
    <a href={source} target="_blank" rel="noreferrer">
      {t.query}
    </a>
  );
}

/** Rows of an answer; traces and routes lead to their pages. */
export function FactRows({ table }: { table: FactTable }) {
  const t = useText();
  if (table.rows.length === 0) return null;
  return (
    <Panel title={table.label} side={<Source source={table.source} />}>
      <div class="scroll">
        <table class="fact-table">
          <thead>
            <tr>
              {table.columns.map((column) => (
                <th key={column.name} class={isNumber(column.unit) ? "num" : ""} scope="col">
                  {column.label}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {table.rows.map((row, index) => (
              <tr key={index}>
                {table.columns.map((column, at) => (
                  <td key={column.name} class={isNumber(column.unit) ? "num" : column.unit === "code" ? "fact-code" : ""}>
                    <Value value={row[at] ?? null} column={column} />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {table.more > 0 && <p class="note">{t.moreRows(table.more)}</p>}
    </Panel>
  );
}

function Value({ value, column }: { value: Cell; column: FactColumn }) {
  const text = show(value, column.unit);
  if (typeof value !== "string" || value === "") return <>{text}</>;
  if (column.unit === "trace") {
    return (
      <Link to={`/transactions/${value}`} title={value}>
        <code>{value.slice(0, 8)}…</code>
      </Link>
    );
  }
  // A column of several routes is one text.
  if (column.name === "route") return <Link to={`/transactions${queryString({ route: value })}`}>{text}</Link>;
  return column.unit === "code" ? <code>{text}</code> : <>{text}</>;
}

/** A small line over time, with the interval of a forecast. */
export function FactLine({ chart, group }: { chart: FactChart; group: string }) {
  const t = useText();
  const palette = usePalette();
  const data = useMemo(() => {
    const band = new Map(chart.band.map(([at, low, high]) => [at, [low, high] as const]));
    const at = chart.points.map(([us]) => us / 1e6);
    const values = chart.points.map(([, value]) => value);
    if (band.size === 0) return [at, values];
    const bound = (side: 0 | 1) => chart.points.map(([us]) => band.get(us)?.[side] ?? null);
    return [at, values, bound(0), bound(1)];
  }, [chart]);
  if (chart.points.length < 2) return null;
  const last = chart.points.at(-1)!;
  const value = (number: number) => show(number, chart.unit);
  const main = chart.name === "errors" ? palette.bad : palette.ok;
  return (
    <Panel title={chart.label} side={<Source source={chart.source} />}>
      <Chart
        label={`${chart.label}: ${value(last[1])}`}
        group={group}
        palette={palette}
        data={data}
        value={value}
        height={130}
        lines={[
          { name: chart.label, color: main, fill: chart.band.length === 0 },
          ...(chart.band.length > 0
            ? [
                { name: t.lowerBound, color: palette.dim, dash: [2, 2] },
                { name: t.upperBound, color: palette.dim, dash: [6, 3] },
              ]
            : []),
        ]}
      />
    </Panel>
  );
}
