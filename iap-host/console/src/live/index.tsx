import { usePolled } from "../api/hooks";
import type { ActiveRoute, ActiveView, Interrupted } from "../api/types";
import { duration, number, time } from "../format";
import { useText } from "../i18n";
import { Link } from "../router";
import { Failure, Loading, Panel } from "../ui/parts";
import { Upstreams } from "./upstreams";

const POLL_MS = 1000;

/** What runs now: bands of elapsed time by route, and the slowest requests. */
export function LiveView() {
  const t = useText();
  const { data, error, reload } = usePolled<ActiveView>("/api/requests/active?limit=100", POLL_MS);
  const crashed = usePolled<{ requests: Interrupted[] }>("/api/requests/interrupted", 30_000).data?.requests ?? [];
  if (error) return <Failure error={error} retry={reload} />;
  if (!data) return <Loading />;
  return (
    <>
      {crashed.length > 0 && <Crashed requests={crashed} />}
      <Panel class="bands" title={t.liveBands} side={`${t.running} ${number(data.running)}`}>
        {data.routes.length === 0 ? <p class="note">{t.runningEmpty}</p> : <Bands view={data} />}
        {data.running > data.listed && <p class="hint">{t.notListed(number(data.running - data.listed))}</p>}
      </Panel>
      {data.requests.length > 0 && (
        <Panel title={t.slowestNow}>
          <Slowest view={data} />
        </Panel>
      )}
      <Upstreams />
    </>
  );
}

/** The names of the bands: "under 500 ms", …, "8 s or more". */
function bandNames(t: ReturnType<typeof useText>, ends: number[]): string[] {
  return [...ends.map((end) => t.bandUpTo(duration(end))), t.bandFrom(duration(ends.at(-1) ?? 0))];
}

function Bands({ view }: { view: ActiveView }) {
  const t = useText();
  const names = bandNames(t, view.bands_us);
  const most = Math.max(1, ...view.routes.map((route) => sum(route)));
  return (
    <>
      <ul class="legend band-legend">
        {names.map((name, band) => (
          <li key={name}>
            <i class={`band band-${band}`} />
            {name}
          </li>
        ))}
      </ul>
      <ol class="band-rows">
        {view.routes.map((route) => (
          <li key={route.route}>
            <span class="band-route">{route.route}</span>
            <span
              class="band-bar"
              role="img"
              aria-label={t.bandsOf(route.route, route.bands.map((count, band) => `${names[band]} ${count}`).join(", "))}
            >
              {route.bands.map(
                (count, band) =>
                  count > 0 && (
                    <span key={band} class={`band band-${band}`} style={{ width: `${(100 * count) / most}%` }} title={names[band]!}>
                      {number(count)}
                    </span>
                  ),
              )}
            </span>
            <strong>{duration(route.slowest_us)}</strong>
          </li>
        ))}
      </ol>
    </>
  );
}

const sum = (route: ActiveRoute) => route.bands.reduce((all, count) => all + count, 0);

function Slowest({ view }: { view: ActiveView }) {
  const t = useText();
  return (
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
