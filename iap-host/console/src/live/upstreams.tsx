import { useState } from "preact/hooks";

import { useMay } from "../access/store";
import { usePolled } from "../api/hooks";
import type { UpstreamServer, UpstreamView } from "../api/types";
import { number } from "../format";
import { useText } from "../i18n";
import { Failure, Panel } from "../ui/parts";
import { type Wanted, Shift } from "./shift";

const POLL_MS = 2000;

const BADGES: Record<string, string> = { up: "ok", draining: "warn", probing: "warn", absent: "warn" };

/** The servers behind, how busy each is, and what an operator may do with them. */
export function Upstreams() {
  const t = useText();
  const operates = useMay("operate");
  const [wanted, want] = useState<Wanted | null>(null);
  const { data, error, reload } = usePolled<{ upstreams: UpstreamView[] }>("/api/upstreams", POLL_MS);
  if (error) return <Failure error={error} retry={reload} />;
  if (!data) return null;
  const close = () => {
    want(null);
    reload();
  };
  return (
    <Panel class="upstreams" title={t.upstreams} side={number(data.upstreams.length)}>
      {data.upstreams.length === 0 && <p class="note">{t.noUpstreams}</p>}
      {data.upstreams.map((upstream) => (
        <section key={upstream.name} class="upstream">
          <h3>
            {upstream.name}
            {upstream.queued > 0 && <span class="badge badge-warn">{t.queuedAt(number(upstream.queued))}</span>}
          </h3>
          <Servers upstream={upstream} want={operates ? want : null} />
          {wanted?.upstream === upstream.name && <Shift key={`${wanted.kind} ${wanted.server}`} wanted={wanted} close={close} />}
        </section>
      ))}
    </Panel>
  );
}

function Servers({ upstream, want }: { upstream: UpstreamView; want: ((wanted: Wanted) => void) | null }) {
  const t = useText();
  const weights = upstream.servers.reduce((all, one) => all + share(one), 0);
  const busiest = Math.max(1, ...upstream.servers.map((one) => one.in_flight));
  return (
    <div class="scroll">
      <table class="cards-when-narrow servers">
        <thead>
          <tr>
            <th scope="col">{t.upstreamServer}</th>
            <th scope="col">{t.state}</th>
            <th scope="col" class="num">
              {t.running}
            </th>
            <th scope="col" class="num">
              {t.connectionsIdle}
            </th>
            <th scope="col" class="num">
              {t.reusedShare}
            </th>
            <th scope="col" class="num">
              {t.weightShare}
            </th>
            <th scope="col">{t.lastFailure}</th>
            {want && <th scope="col">{t.control}</th>}
          </tr>
        </thead>
        <tbody>
          {upstream.servers.map((server) => (
            <tr key={server.address}>
              <td data-label={t.upstreamServer} class="main-cell">
                {server.address}
                {server.name && server.name !== server.address && <span class="cell-note">{server.name}</span>}
              </td>
              <td data-label={t.state}>
                <span class={`badge badge-${BADGES[server.state] ?? "bad"}`}>{t.serverStates[server.state] ?? server.state}</span>
              </td>
              <td data-label={t.running} class="num">
                {number(server.in_flight)}
                <span class="meter" style={{ width: `${(100 * server.in_flight) / busiest}%` }} />
              </td>
              <td data-label={t.connectionsIdle} class="num">
                {number(server.connections)} / {number(server.idle)}
              </td>
              <td data-label={t.reusedShare} class="num">
                {reused(server) ?? t.none}
              </td>
              <td data-label={t.weightShare} class="num">
                {number(server.weight)}
                <span class="cell-note">{weights > 0 ? `${Math.round((100 * share(server)) / weights)} %` : t.none}</span>
              </td>
              <td data-label={t.lastFailure}>
                {server.last_error ?? t.none}
                {server.failed > 0 && <span class="cell-note">{t.failedConnections(number(server.failed))}</span>}
              </td>
              {want && (
                <td data-label={t.control}>
                  <Controls upstream={upstream.name} server={server} want={want} />
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Controls({ upstream, server, want }: { upstream: string; server: UpstreamServer; want: (wanted: Wanted) => void }) {
  const t = useText();
  const address = server.address;
  const drain = server.state === "draining" ? "undrain" : "drain";
  return (
    <span class="server-controls">
      <button type="button" aria-label={`${t.serverActs[drain]} ${address}`} onClick={() => want({ kind: drain, upstream, server: address })}>
        {t.serverActs[drain]}
      </button>
      <button
        type="button"
        aria-label={`${t.serverActs.weight} ${address}`}
        onClick={() => want({ kind: "weight", upstream, server: address, from: server.weight, own: server.configured_weight })}
      >
        {t.serverActs.weight}
      </button>
    </span>
  );
}

/** What counts of a weight: a server that gets no requests has no share. */
const share = (server: UpstreamServer) => (server.state === "up" ? server.weight : 0);

/** Of the requests those that needed no new connection. */
function reused(server: UpstreamServer): string | null {
  const all = server.opened + server.reused;
  return all > 0 ? `${Math.round((100 * server.reused) / all)} %` : null;
}
