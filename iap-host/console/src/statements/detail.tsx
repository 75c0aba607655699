import type { Statement, StatementAnswer } from "../api/drill";
import { queryString } from "../api/client";
import { useGet } from "../api/hooks";
import { duration, number, percent, time } from "../format";
import { useText } from "../i18n";
import { Link, setQuery, useLocation } from "../router";
import { formatSql } from "../transaction/sql";
import { Bars, BasisNote } from "../ui/basis";
import { Failure, Loading, Panel, WindowSelect } from "../ui/parts";
import { exampleLink, readScope } from ".";

export function StatementView({ id }: { id: string }) {
  const t = useText();
  const { query } = useLocation();
  const scope = readScope(query);
  const { data, error, reload } = useGet<StatementAnswer>(`/api/statements/${encodeURIComponent(id)}${queryString(scope)}`);
  const one = data?.statements[0];
  return (
    <>
      <p class="crumb">
        <Link to={`/sql${queryString(scope)}`}>← {t.backToSql}</Link>
      </p>
      <div class="filters">
        <WindowSelect seconds={scope.last_s} choose={(last_s) => setQuery({ last_s })} />
        <button type="button" onClick={reload}>
          {t.refresh}
        </button>
      </div>
      {error ? (
        error.status === 404 ? (
          <p class="empty">{t.statementGone}</p>
        ) : (
          <Failure error={error} retry={reload} />
        )
      ) : one && data ? (
        <>
          <Found one={one} from_us={data.basis.window.from_us} />
          <BasisNote basis={data.basis} />
        </>
      ) : (
        <Loading />
      )}
    </>
  );
}

function Found({ one, from_us }: { one: Statement; from_us: number }) {
  const t = useText();
  const figures: [string, string, boolean?][] = [
    [t.statementCalls, number(one.count)],
    [t.errorCount, number(one.errors), one.errors > 0],
    [t.totalTime, duration(one.total_us)],
    [t.timeShare, percent(one.share, 1)],
    [t.meanTime, duration(one.mean_us)],
    ["p50", duration(one.p50_us)],
    ["p95", duration(one.p95_us)],
    ["p99", duration(one.p99_us)],
    [t.rowsOfAll, one.rows === null ? t.none : number(one.rows)],
  ];
  return (
    <>
      <section class="panel statement-text" aria-label={t.statement}>
        <pre tabIndex={0}>
          <code>{formatSql(one.text)}</code>
        </pre>
        {one.system && <p class="hint">{`${t.database}: ${one.system}`}</p>}
      </section>
      <dl class="cards">
        {figures.map(([name, value, bad]) => (
          <div key={name} class={`card ${bad ? "card-bad" : ""}`}>
            <dt>{name}</dt>
            <dd>
              <strong>{value}</strong>
            </dd>
          </div>
        ))}
      </dl>
      {one.detail && <More detail={one.detail} from_us={from_us} />}
    </>
  );
}

function More({ detail, from_us }: { detail: NonNullable<Statement["detail"]>; from_us: number }) {
  const t = useText();
  const to_us = from_us + detail.step_us * detail.counts.length;
  const all = detail.counts.reduce((sum, count) => sum + count, 0);
  return (
    <>
      <Panel title={t.callsOverTime} side={t.fixedWindow(time(from_us), time(to_us))}>
        <div class="bars-wide">
          <Bars values={detail.counts} label={t.overTime(number(all), time(from_us), time(to_us))} />
        </div>
      </Panel>
      <div class="two">
        <Panel title={t.calledBy}>
          <div class="scroll">
            <table>
              <thead>
                <tr>
                  <th scope="col">{t.route}</th>
                  <th scope="col">{t.service}</th>
                  <th scope="col" class="num">{t.statementCalls}</th>
                  <th scope="col" class="num">{t.totalTime}</th>
                  <th scope="col" class="num">p95</th>
                </tr>
              </thead>
              <tbody>
                {detail.callers.map((caller) => (
                  <tr key={`${caller.route}\n${caller.service}`}>
                    <td>
                      <Link to={`/transactions${queryString({ route: caller.route, order: "slowest" })}`}>{caller.route || t.none}</Link>
                    </td>
                    <td>{caller.service}</td>
                    <td class="num">{number(caller.count)}</td>
                    <td class="num">{duration(caller.total_us)}</td>
                    <td class="num">{duration(caller.p95_us)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </Panel>
        <Panel title={t.slowestCalls}>
          <div class="scroll">
            <table>
              <thead>
                <tr>
                  <th scope="col">{t.time}</th>
                  <th scope="col" class="num">{t.duration}</th>
                </tr>
              </thead>
              <tbody>
                {detail.examples.map((example) => (
                  <tr key={example.trace_id + example.span_id}>
                    <td>
                      <Link to={exampleLink(example)}>{time(example.start_us)}</Link>
                    </td>
                    <td class="num">{duration(example.duration_us)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </Panel>
      </div>
    </>
  );
}
