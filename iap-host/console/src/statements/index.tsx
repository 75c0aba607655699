import type { TargetedSubmitEvent } from "preact";

import type { Statement, StatementAnswer } from "../api/drill";
import { queryString } from "../api/client";
import { useGet } from "../api/hooks";
import { duration, number, percent } from "../format";
import { useText } from "../i18n";
import { Link, setQuery, useLocation } from "../router";
import { BasisNote } from "../ui/basis";
import { Answer, readWindow, Segments, WindowSelect } from "../ui/parts";
import { RouteField } from "../ui/route-field";

const SORTS = ["time", "count", "mean", "errors"] as const;
type Sort = (typeof SORTS)[number];

/** What restricts statements and errors, as it stands in the address. */
export function readScope(query: URLSearchParams): { last_s: number; route: string; service: string } {
  return {
    last_s: readWindow(query, 3600),
    route: query.get("route") ?? "",
    service: query.get("service") ?? "",
  };
}

/** Window, route and service. */
export function ScopeFilters({ children, reload }: { children?: preact.ComponentChildren; reload: () => void }) {
  const t = useText();
  const { query, path } = useLocation();
  const scope = readScope(query);
  const submit = (event: TargetedSubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    setQuery({ service: String(new FormData(event.currentTarget).get("service") ?? "").trim() });
  };
  return (
    <form class="filters" role="search" onSubmit={submit} key={scope.service}>
      <WindowSelect seconds={scope.last_s} choose={(last_s) => setQuery({ last_s })} />
      <RouteField route={scope.route} />
      <label class="field field-short">
        <span>{t.service}</span>
        <input name="service" autoComplete="off" spellcheck={false} placeholder={t.anyService} defaultValue={scope.service} />
      </label>
      <button type="submit">{t.apply}</button>
      {children}
      <button type="button" onClick={reload}>
        {t.refresh}
      </button>
      {(scope.route || scope.service) && <Link to={path}>{t.reset}</Link>}
    </form>
  );
}

export function Statements() {
  const t = useText();
  const { query } = useLocation();
  const scope = readScope(query);
  const sort = SORTS.find((name) => name === query.get("sort")) ?? "time";
  const answer = useGet<StatementAnswer>(`/api/statements${queryString({ ...scope, sort })}`);
  const known = answer.data;
  const texts: Record<Sort, string> = { time: t.sortTime, count: t.sortCount, mean: t.sortMean, errors: t.sortErrors };
  return (
    <>
      <ScopeFilters reload={answer.reload}>
        <Segments
          label={t.sortBy}
          value={sort}
          choices={SORTS.map((value) => ({ value, text: texts[value] }))}
          choose={(value) => setQuery({ sort: value })}
        />
      </ScopeFilters>
      <section class="panel" aria-busy={answer.loading}>
        <Answer of={answer}>
          {(data) =>
            data.statements.length === 0 ? (
              <div class="empty">
                <strong>{t.noStatements}</strong>
                <p>{t.noStatementsHint}</p>
              </div>
            ) : (
              <StatementTable statements={data.statements} scope={queryString(scope)} />
            )
          }
        </Answer>
      </section>
      {known && known.basis.kept > 0 && <BasisNote basis={known.basis} />}
      {known && known.more > 0 && <p class="count">{t.andMoreOnes(number(known.more))}</p>}
    </>
  );
}

function StatementTable({ statements, scope }: { statements: Statement[]; scope: string }) {
  const t = useText();
  const { query } = useLocation();
  const window = queryString({ last_s: query.get("last_s") });
  return (
    <div class="scroll">
      <table class="cards-when-narrow">
        <thead>
          <tr>
            <th scope="col">{t.statement}</th>
            <th scope="col">{t.calledBy}</th>
            <th scope="col" class="num">{t.statementCalls}</th>
            <th scope="col" class="num">{t.errorCount}</th>
            <th scope="col" class="num">{t.totalTime}</th>
            <th scope="col" class="num">{t.timeShare}</th>
            <th scope="col" class="num">{t.meanTime}</th>
            <th scope="col" class="num">p95</th>
            <th scope="col" class="num">p99</th>
            <th scope="col">{t.slowestCall}</th>
          </tr>
        </thead>
        <tbody>
          {statements.map((one) => (
            <tr key={one.id}>
              <td data-label={t.statement} class="main-cell sql-cell">
                <Link to={`/sql/${one.id}${window || scope}`} title={one.text}>
                  <code>{one.text}</code>
                </Link>
              </td>
              <td data-label={t.calledBy} class="names-cell" title={[...one.services, ...one.routes].join(", ")}>
                {one.services.join(", ")}
                <span class="cell-note">{one.routes.join(", ")}</span>
              </td>
              <td data-label={t.statementCalls} class="num">{number(one.count)}</td>
              <td data-label={t.errorCount} class={`num ${one.errors > 0 ? "bad-text" : ""}`}>{number(one.errors)}</td>
              <td data-label={t.totalTime} class="num">{duration(one.total_us)}</td>
              <td data-label={t.timeShare} class="num">
                <span class="meter" style={{ width: `${100 * one.share}%` }} />
                <span class="over">{percent(one.share, 1)}</span>
              </td>
              <td data-label={t.meanTime} class="num">{duration(one.mean_us)}</td>
              <td data-label="p95" class="num">{duration(one.p95_us)}</td>
              <td data-label="p99" class="num">{duration(one.p99_us)}</td>
              <td data-label={t.slowestCall}>
                {one.example && (
                  <Link to={exampleLink(one.example)}>{duration(one.example.duration_us)}</Link>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export const exampleLink = (example: { trace_id: string; span_id: string; start_us: number }): string =>
  `/transactions/${example.trace_id}${queryString({ at_us: example.start_us, span: example.span_id })}`;
