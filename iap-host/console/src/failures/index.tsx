import type { ErrorAnswer, ErrorGroup } from "../api/drill";
import { queryString } from "../api/client";
import { useGet } from "../api/hooks";
import { number, time } from "../format";
import { useText } from "../i18n";
import { Link, useLocation } from "../router";
import { exampleLink, readScope, ScopeFilters } from "../statements";
import { Bars, BasisNote } from "../ui/basis";
import { Answer, Panel } from "../ui/parts";

export function Failures() {
  const t = useText();
  const { query } = useLocation();
  const scope = readScope(query);
  const errors = useGet<ErrorAnswer>(`/api/errors${queryString(scope)}`);
  const of = (source: ErrorGroup["source"]) => errors.data?.groups.filter((group) => group.source === source) ?? [];
  const [transactions, spans] = [of("transaction"), of("span")];
  return (
    <>
      <ScopeFilters reload={errors.reload} />
      <div aria-busy={errors.loading}>
        <Answer of={errors}>
          {(data) =>
            data.groups.length === 0 ? (
              <section class="panel empty">
                <strong>{t.noErrors}</strong>
                <p>{t.noErrorsHint}</p>
              </section>
            ) : (
              <>
                {transactions.length > 0 && (
                  <Panel title={t.failedTransactions} side={number(data.failed)}>
                    <Groups groups={transactions} answer={data} />
                  </Panel>
                )}
                {data.failed_truncated && <p class="count">{t.failedCut(number(data.failed))}</p>}
                {spans.length > 0 && (
                  <Panel title={t.failedSpans} side={t.failedSpansHint}>
                    <Groups groups={spans} answer={data} />
                  </Panel>
                )}
                <BasisNote basis={data.basis} />
                {data.more > 0 && <p class="count">{t.andMoreOnes(number(data.more))}</p>}
              </>
            )
          }
        </Answer>
      </div>
    </>
  );
}

function Groups({ groups, answer }: { groups: ErrorGroup[]; answer: ErrorAnswer }) {
  const t = useText();
  const { last_s } = readScope(useLocation().query);
  const { from_us, to_us } = answer.window;
  return (
    <ul class="failures">
      {groups.map((group) => (
        <li key={[group.kind, group.message, group.route, group.service].join("\n")}>
          <div class="failure-text">
            <h3>
              {group.kind}
              <span class="cell-note">{group.operation}</span>
            </h3>
            {group.message && <p class="failure-message">{group.message}</p>}
            <p class="hint">
              {t.route}{" "}
              <Link to={`/transactions${queryString({ last_s, route: group.route, errors: group.source === "transaction" })}`}>
                {group.route || t.none}
              </Link>
              {" · "}
              {t.service} {group.service}
              {" · "}
              {t.firstSeen} {time(group.first_us)}
              {" · "}
              {t.lastSeenAt} {time(group.last_us)}
            </p>
            <p class="hint">
              {t.examplesOf}
              {group.examples.map((example) => (
                <Link key={example.trace_id + example.span_id} class="failure-example" to={exampleLink(example)}>
                  {time(example.start_us)}
                </Link>
              ))}
            </p>
          </div>
          <div class="failure-figure">
            <strong>{number(group.count)}</strong>
            <Bars bad values={group.series} label={t.overTime(number(group.count), time(from_us), time(to_us))} />
          </div>
        </li>
      ))}
    </ul>
  );
}
