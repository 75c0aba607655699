import { usePolled } from "../api/hooks";
import type { ActiveView, Interrupted } from "../api/types";
import { duration, number, time } from "../format";
import { useText } from "../i18n";
import { Link } from "../router";
import { Failure, Loading, Panel } from "../ui/parts";
import { Bands } from "./bands";
import { Upstreams } from "./upstreams";
import { useWaits, Waits } from "./waits";

const POLL_MS = 1000;

/** What runs now: bands of elapsed time by route, the slowest requests, and the servers behind. */
export function LiveView() {
  return (
    <>
      <Requests />
      <Upstreams />
    </>
  );
}

function Requests() {
  const t = useText();
  const { data, error, reload } = usePolled<ActiveView>("/api/requests/active?limit=100", POLL_MS);
  const crashed = usePolled<{ requests: Interrupted[] }>("/api/requests/interrupted", 30_000).data?.requests ?? [];
  if (error) return <Failure error={error} retry={reload} />;
  if (!data) return <Loading />;
  return (
    <>
      {crashed.length > 0 && <Crashed requests={crashed} />}
      <Panel class="bands" title={t.liveBands} side={`${t.running} ${number(data.running)}`}>
        {data.routes.length === 0 ? <p class="note">{t.runningEmpty}</p> : <Bands ends_us={data.bands_us} routes={data.routes} />}
        {data.running > data.listed && <p class="hint">{t.notListed(number(data.running - data.listed))}</p>}
      </Panel>
      {data.requests.length > 0 && (
        <Panel title={t.slowestNow}>
          <Slowest view={data} />
        </Panel>
      )}
    </>
  );
}

function Slowest({ view }: { view: ActiveView }) {
  const t = useText();
  const { asked, ask } = useWaits();
  return (
    <>
      <div class="scroll">
        <table class="cards-when-narrow slowest">
          <thead>
            <tr>
              <th scope="col" class="num">
                {t.elapsed}
              </th>
              <th scope="col">{t.path}</th>
              <th scope="col">{t.route}</th>
              <th scope="col">{t.stage}</th>
              <th scope="col">{t.upstreamServer}</th>
              <th scope="col">{t.user}</th>
              <th scope="col">{t.session}</th>
              <th scope="col">{t.client}</th>
            </tr>
          </thead>
          <tbody>
            {view.requests.map((request) => (
              <tr key={`${request.trace_id} ${request.span_id}`}>
                <td data-label={t.elapsed} class="num">
                  {duration(request.running_us)}
                </td>
                <td data-label={t.path} class="main-cell" title={request.trace_id}>
                  <span class="method">{request.method} </span>
                  {request.path}
                </td>
                <td data-label={t.route}>{request.route}</td>
                <td data-label={t.stage}>
                  {request.stage ?? t.none}
                  {request.stage && <span class="cell-note">{t.stageFor(duration(request.stage_us))}</span>}
                  {request.tasks > 0 && (
                    <button type="button" class="ask-waits" title={t.waitsOf(request.path)} onClick={() => ask(request)}>
                      {t.whereItWaits}
                    </button>
                  )}
                </td>
                <td data-label={t.upstreamServer}>
                  {request.server ?? t.none}
                  {request.upstream && request.upstream !== request.server && <span class="cell-note">{request.upstream}</span>}
                </td>
                <td data-label={t.user}>{request.user ?? t.none}</td>
                <td data-label={t.session}>{request.session ?? t.none}</td>
                <td data-label={t.client}>{request.client ?? t.none}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {asked && <Waits asked={asked} />}
    </>
  );
}

function Crashed({ requests }: { requests: Interrupted[] }) {
  const t = useText();
  return (
    <Panel class="crashed" title={t.interrupted} side={number(requests.length)}>
      <p class="hint">{t.interruptedHint}</p>
      <div class="scroll">
        <table class="cards-when-narrow">
          <thead>
            <tr>
              <th scope="col">{t.start}</th>
              <th scope="col">{t.path}</th>
              <th scope="col">{t.route}</th>
              <th scope="col">{t.stage}</th>
              <th scope="col">{t.lastSeen}</th>
            </tr>
          </thead>
          <tbody>
            {requests.map((request) => (
              <tr key={`${request.trace_id} ${request.span_id}`}>
                <td data-label={t.start}>{time(request.start_us)}</td>
                <td data-label={t.path} class="main-cell">
                  <Link to={`/transactions/${request.trace_id}`}>
                    <span class="method">{request.method} </span>
                    {request.path}
                  </Link>
                </td>
                <td data-label={t.route}>{request.route}</td>
                <td data-label={t.stage}>
                  {[request.stage, request.server].filter(Boolean).join(" · ") || t.none}
                </td>
                <td data-label={t.lastSeen}>{time(request.seen_us)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}
