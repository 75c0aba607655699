import { useMemo, useState } from "preact/hooks";

import { get, queryString } from "../api/client";
import { useGet } from "../api/hooks";
import type { Summary, Transaction } from "../api/types";
import { bytes, duration, time } from "../format";
import { useText } from "../i18n";
import { Link, useLocation } from "../router";
import { Events } from "../runtime/events";
import { Name, Weight } from "../transactions/table";
import { Copy } from "../ui/copy";
import { Failure, Loading, Panel, StatusBadge } from "../ui/parts";
import { Compare } from "./compare";
import { curl } from "./curl";
import { Details, LogList } from "./details";
import { allNodes, extent, interesting } from "./tree";
import { Waterfall } from "./waterfall";

export function TransactionView({ id }: { id: string }) {
  const t = useText();
  const { query } = useLocation();
  const near = queryString({ at_us: query.get("at_us") });
  const { data, error, reload } = useGet<Transaction>(`/api/transactions/${encodeURIComponent(id)}${near}`);
  return (
    <>
      <p class="crumb">
        <Link to="/transactions">← {t.backToList}</Link>
      </p>
      {error ? (
        error.status === 404 ? (
          <div class="empty">
            <p>{t.traceMissing}</p>
            <button type="button" onClick={reload}>
              {t.retry}
            </button>
          </div>
        ) : (
          <Failure error={error} retry={reload} />
        )
      ) : data ? (
        <Found key={`${id} ${query.get("span")}`} transaction={data} asked={query.get("span")} />
      ) : (
        <Loading />
      )}
    </>
  );
}

function Found({ transaction, asked }: { transaction: Transaction; asked: string | null }) {
  const t = useText();
  const { roots, logs } = transaction.tree;
  const [picked, setPicked] = useState<string | null>(asked);
  const nodes = useMemo(() => allNodes(roots), [roots]);
  const first = useMemo(() => interesting(roots), [roots]);
  const known = (id: string | null) => nodes.find((candidate) => candidate.span.span_id === id);
  const node = known(picked) ?? known(first);
  const chosen = node?.span.span_id ?? null;
  const { from_us } = useMemo(() => extent(nodes, false), [nodes]);
  return (
    <>
      {transaction.summary && <SummaryView summary={transaction.summary} />}
      {nodes.length > 0 && (
        <p class="copy-line">
          {transaction.summary?.method && <Copy label={t.copyCurl} text={() => curl(transaction.summary!)} />}
          <Copy label={t.copyOtlp} text={() => otlp(transaction, from_us)} />
        </p>
      )}
      {transaction.events.length > 0 && (
        <Panel class="events-met" title={t.eventsMet}>
          <p class="hint">{t.eventsMetHint}</p>
          <Events events={transaction.events} />
        </Panel>
      )}
      {transaction.truncated && <p class="banner">{t.truncated}</p>}
      {nodes.length > 0 && (
        <div class="wide-narrow">
          <Waterfall transaction={transaction} chosen={chosen} choose={setPicked} />
          {node && <Details node={node} from_us={from_us} linkedFrom={transaction.linked_from} />}
        </div>
      )}
      {transaction.summary?.route && nodes.length > 0 && <Compare transaction={transaction} summary={transaction.summary} />}
      {logs.length > 0 && (
        <Panel title={t.otherLogs}>
          <LogList lines={logs} from_us={nodes.length > 0 ? from_us : logs[0]!.time_us} />
        </Panel>
      )}
    </>
  );
}

/** The spans as a receiver of OTLP takes them. */
async function otlp({ trace_id }: Transaction, at_us: number): Promise<string> {
  return JSON.stringify(await get(`/api/transactions/${trace_id}${queryString({ at_us, format: "otlp" })}`));
}

function SummaryView({ summary }: { summary: Summary }) {
  const t = useText();
  const to = (query: Record<string, string>) => `/transactions${queryString(query)}`;
  return (
    <section class="panel summary" aria-label={t.transaction}>
      <div class="summary-head">
        <h2>
          <Name summary={summary} />
        </h2>
        <Weight weight={summary.weight} />
        <StatusBadge status={summary.status} failed={summary.failed} />
        <strong class="summary-time">{duration(summary.duration_us)}</strong>
      </div>
      {(summary.error || summary.message) && (
        <p class="bad-text summary-error">{[summary.error, summary.message].filter(Boolean).join(": ")}</p>
      )}
      <dl class="facts">
        <Fact name={t.time}>{time(summary.start_us)}</Fact>
        <Fact name={t.route}>
          {summary.route ? <Link to={to({ route: summary.route })} title={t.sameRoute}>{summary.route}</Link> : t.none}
        </Fact>
        <Fact name={t.user}>
          {summary.user ? <Link to={to({ user: summary.user })} title={t.sameUser}>{summary.user}</Link> : t.none}
        </Fact>
        <Fact name={t.session}>
          {summary.session ? (
            <Link to={to({ session: summary.session })} title={t.sameSession}>
              <code>{summary.session}</code>
            </Link>
          ) : (
            t.none
          )}
        </Fact>
        <Fact name={t.client}>{summary.client ?? t.none}</Fact>
        <Fact name={t.host}>{summary.host || t.none}</Fact>
        <Fact name={t.service}>{summary.service}</Fact>
        <Fact name={t.bytesOut}>{summary.bytes_out ? bytes(summary.bytes_out) : t.none}</Fact>
        <Fact name={t.traceId}>
          <code>{summary.trace_id}</code>
        </Fact>
      </dl>
    </section>
  );
}

function Fact({ name, children }: { name: string; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
