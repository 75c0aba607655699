import { queryString } from "../api/client";
import type { SpanColumn, SpanGroup, SpanGroups } from "../api/drill";
import { useGet } from "../api/hooks";
import { duration, number, percent, time } from "../format";
import { useText } from "../i18n";
import { Link, setQuery, useLocation } from "../router";
import { Answer, readWindow, Segments, WindowSelect } from "../ui/parts";

const COLUMNS: SpanColumn[] = ["service", "name", "kind", "status"];
const MOST = 3;
const ORDERS = ["total_time", "count", "errors", "p95"] as const;
type Order = (typeof ORDERS)[number];

/** The columns that spans are grouped by, in their own order. */
function readBy(query: URLSearchParams): SpanColumn[] {
  const asked = (query.get("by") ?? "service,name").split(",");
  const known = COLUMNS.filter((column) => asked.includes(column)).slice(0, MOST);
  return known.length > 0 ? known : ["service", "name"];
}

/** All spans of a window by what they say of themselves: where the time goes. */
export function Spans() {
  const t = useText();
  const { query } = useLocation();
  const last_s = readWindow(query, 3600);
  const by = readBy(query);
  const order = ORDERS.find((name) => name === query.get("order")) ?? "total_time";
  const only = Object.fromEntries(COLUMNS.map((column) => [column, query.get(column) ?? ""])) as Record<SpanColumn, string>;
  const answer = useGet<SpanGroups>(`/api/spans/groups${queryString({ last_s, by: by.join(","), order, ...only })}`);
  const orders: Record<Order, string> = { total_time: t.sortTime, count: t.spanCount, errors: t.sortErrors, p95: "p95" };
  const toggle = (column: SpanColumn) => {
    const next = by.includes(column) ? by.filter((other) => other !== column) : COLUMNS.filter((other) => by.includes(other) || other === column);
    setQuery({ by: next.join(",") });
  };
  return (
    <>
      <div class="filters" role="search">
        <WindowSelect seconds={last_s} choose={(value) => setQuery({ last_s: value })} />
        <div class="segments" role="group" aria-label={t.groupSpansBy}>
          {COLUMNS.map((column) => {
            const on = by.includes(column);
            return (
              <button
                key={column}
                type="button"
                aria-pressed={on}
                disabled={on ? by.length === 1 : by.length === MOST}
                onClick={() => toggle(column)}
              >
                {t.spanColumns[column]}
              </button>
            );
          })}
        </div>
        <Segments
          label={t.sortBy}
          value={order}
          choices={ORDERS.map((value) => ({ value, text: orders[value] }))}
          choose={(value) => setQuery({ order: value })}
        />
        <button type="button" onClick={answer.reload}>
          {t.refresh}
        </button>
      </div>
      <Chosen only={only} />
      <section class="panel" aria-busy={answer.loading}>
        <Answer of={answer}>
          {(data) =>
            data.groups.length === 0 ? (
              <div class="empty">
                <strong>{t.noSpans}</strong>
                <p>{t.noSpansHint}</p>
              </div>
            ) : (
              <Groups data={data} by={by} only={only} />
            )
          }
        </Answer>
      </section>
      {answer.data && answer.data.groups.length > 0 && (
        <p class="count">
          {t.spansOf(number(answer.data.spans), time(answer.data.window.from_us), time(answer.data.window.to_us))}
          {answer.data.found > answer.data.groups.length && ` ${t.andMoreOnes(number(answer.data.found - answer.data.groups.length))}`}
        </p>
      )}
    </>
  );
}

/** What the spans are restricted to, each to be taken back. */
function Chosen({ only }: { only: Record<SpanColumn, string> }) {
  const t = useText();
  const chosen = COLUMNS.filter((column) => only[column]);
  if (chosen.length === 0) return null;
  return (
    <p class="chosen-values">
      {chosen.map((column) => (
        <button key={column} type="button" title={t.reset} onClick={() => setQuery({ [column]: null })}>
          {t.spanColumns[column]}: <strong>{only[column]}</strong> ×
        </button>
      ))}
    </p>
  );
}

interface GroupsProps {
  data: SpanGroups;
  by: SpanColumn[];
  only: Record<SpanColumn, string>;
}

function Groups({ data, by, only }: GroupsProps) {
  const t = useText();
  const { path, query } = useLocation();
  const most = Math.max(1, ...data.groups.map((group) => group.total_us));
  const restricted = (column: SpanColumn, value: string) =>
    path + queryString({ ...Object.fromEntries(query), [column]: value });
  const cell = (group: SpanGroup, column: SpanColumn, at: number) => {
    const value = group.values[at] ?? "";
    return only[column] ? value : <Link to={restricted(column, value)}>{value}</Link>;
  };
  return (
    <div class="scroll">
      <table class="cards-when-narrow">
        <thead>
          <tr>
            {by.map((column) => (
              <th key={column} scope="col">
                {t.spanColumns[column]}
              </th>
            ))}
            <th scope="col" class="num">{t.spanCount}</th>
            <th scope="col" class="num">{t.errorCount}</th>
            <th scope="col" class="num">{t.totalTime}</th>
            <th scope="col" class="num">p50</th>
            <th scope="col" class="num">p95</th>
            <th scope="col" class="num">p99</th>
            <th scope="col" class="num">{t.longestOne}</th>
          </tr>
        </thead>
        <tbody>
          {data.groups.map((group) => (
            <tr key={group.values.join("\u0000")}>
              {by.map((column, at) => (
                <td key={column} data-label={t.spanColumns[column]} class={at === 0 ? "main-cell" : undefined}>
                  {cell(group, column, at)}
                </td>
              ))}
              <td data-label={t.spanCount} class="num">{number(group.count)}</td>
              <td data-label={t.errorCount} class={`num ${group.errors > 0 ? "bad-text" : ""}`}>
                {number(group.errors)}
                {group.errors > 0 && <span class="cell-note">{percent(group.errors / group.count, 1)}</span>}
              </td>
              <td data-label={t.totalTime} class="num">
                <span class="meter" style={{ width: `${(100 * group.total_us) / most}%` }} />
                <span class="over">{duration(group.total_us)}</span>
              </td>
              <td data-label="p50" class="num">{duration(group.p50_us)}</td>
              <td data-label="p95" class="num">{duration(group.p95_us)}</td>
              <td data-label="p99" class="num">{duration(group.p99_us)}</td>
              <td data-label={t.longestOne} class="num">{duration(group.max_us)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
