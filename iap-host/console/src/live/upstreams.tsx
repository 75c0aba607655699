import { useState } from "preact/hooks";

import { useMay } from "../access/store";
import { usePolled, useSpan } from "../api/hooks";
import { duration, number, percent } from "../format";
import { useText } from "../i18n";
import { Link } from "../router";
import { Failure, Panel } from "../ui/parts";
import { ActOn, type Aim } from "./act-on";

const POLL_MS = 1000;
/** Over so many answers a rate is taken. */
const SAMPLES = 6;

/** As `/api/upstreams` has it. */
export interface Server {
  address: string;
  name: string | null;
  state: string;
  out_for_ms: number | null;
  keeps_bound: boolean;
  weight: number;
  configured_weight: number;
  share: number;
  in_flight: number;
  requests: number;
  answered: number;
  waited_us: number;
  connections: number;
  idle: number;
  opened: number;
  reused: number;
  failed: number;
  last_error: string | null;
}

interface Upstream {
  name: string;
  queued: number;
  servers: Server[];
}

interface View {
  upstreams: Upstream[];
}

const BADGES: Record<string, string> = { up: "ok", draining: "warn", probing: "warn" };

/** Upstreams and their servers, and for those who may: what is done about a server. Nothing where there are none. */
export function Upstreams() {
  const t = useText();
  const operates = useMay("operate");
  const { data, error, reload } = usePolled<View>("/api/upstreams", POLL_MS);
  const rate = useRates(data);
  const [aim, setAim] = useState<Aim | null>(null);
  const [done, setDone] = useState(false);
  if (error) {
    return (
      <Panel title={t.upstreams}>
        <Failure error={error} retry={reload} />
      </Panel>
    );
  }
  if (!data || data.upstreams.length === 0) return null;
  const choose = (chosen: Aim) => {
    setDone(false);
    setAim(chosen);
  };
  const close = (wasDone: boolean) => {
    setAim(null);
    setDone(wasDone);
    reload();
  };
  return (
    <Panel class="upstreams" title={t.upstreams}>
      {done && (
        <p class="hint" role="status">
          {t.actionBegun} <Link to="/actions">{t.actions}</Link>
        </p>
      )}
      {data.upstreams.map((upstream) => (
        <section key={upstream.name} aria-label={upstream.name}>
          <header>
            <h3>{upstream.name}</h3>
            <span class="dim">{upstream.queued > 0 ? t.waitForServer(number(upstream.queued)) : t.noneWait}</span>
          </header>
          <Servers upstream={upstream} rate={rate} act={operates ? choose : null} />
        </section>
      ))}
      {aim && <ActOn aim={aim} close={close} />}
    </Panel>
  );
}

/** What the last few answers say of a server: requests a second, and how long a response took to begin. */
interface Late {
  rate: number | null;
  took_us: number | null;
}

type Rate = (upstream: Upstream, server: Server) => Late;

/** By the last few answers; null before there are two, and where an upstream began anew. */
function useRates(data: View | null): Rate {
  const span = useSpan(data, SAMPLES);
  return (upstream, server) => {
    const known = span?.first.upstreams.find((one) => one.name === upstream.name);
    const before = known?.servers.find((one) => one.address === server.address);
    if (!span || before === undefined || before.requests > server.requests) return { rate: null, took_us: null };
    const answered = server.answered - before.answered;
    return {
      rate: (server.requests - before.requests) / span.seconds,
      took_us: answered > 0 ? (server.waited_us - before.waited_us) / answered : null,
    };
  };
}

function Servers({ upstream, rate, act }: { upstream: Upstream; rate: Rate; act: ((aim: Aim) => void) | null }) {
  const t = useText();
  const late = upstream.servers.map((server) => rate(upstream, server));
  const rates = late.map((one) => one.rate);
  const all = rates.reduce<number>((sum, one) => sum + (one ?? 0), 0);
  return (
    <div class="scroll">
      <table class="cards-when-narrow servers">
        <thead>
          <tr>
            <th scope="col">{t.upstreamServer}</th>
            <th scope="col">{t.state}</th>
            <th scope="col">{t.shareOfRequests}</th>
            <th scope="col" class="num">
              {t.requestsPerSecond}
            </th>
            <th scope="col" class="num" title={t.firstByteTold}>
              {t.firstByte}
            </th>
            <th scope="col" class="num">
              {t.running}
            </th>
            <th scope="col" class="num">
              {t.weight}
            </th>
            <th scope="col" class="num">
              {t.connections}
            </th>
            {act && (
              <th scope="col">
                <span class="unseen">{t.actions}</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {upstream.servers.map((server, index) => (
            <tr key={server.address}>
              <td data-label={t.upstreamServer} class="main-cell">
                {server.name ?? server.address}
                {server.name && <span class="cell-note">{server.address}</span>}
                {server.state !== "up" && server.last_error && <span class="cell-note server-error">{server.last_error}</span>}
              </td>
              <td data-label={t.state}>
                <State server={server} />
              </td>
              <td data-label={t.shareOfRequests} class="server-wide">
                <Share measured={all > 0 ? (rates[index] ?? 0) / all : null} byWeight={server.share} />
              </td>
              <td data-label={t.requestsPerSecond} class="num">
                {rates[index] == null ? t.none : number(rates[index], 1)}
              </td>
              <td data-label={t.firstByte} class="num">
                {late[index]?.took_us == null ? t.none : duration(late[index].took_us)}
              </td>
              <td data-label={t.running} class="num">
                {number(server.in_flight)}
              </td>
              <td data-label={t.weight} class="num">
                {server.weight}
                {server.weight !== server.configured_weight && <span class="cell-note">{t.weightBySettings(server.configured_weight)}</span>}
              </td>
              <td data-label={t.connections} class="num" title={t.connectionsTold(number(server.opened), number(server.reused), number(server.failed))}>
                {number(server.connections)}
                <span class="cell-note">{t.idleConnections(number(server.idle))}</span>
              </td>
              {act && (
                <td class="server-acts server-wide">
                  <Acts upstream={upstream.name} server={server} act={act} />
                </td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function State({ server }: { server: Server }) {
  const t = useText();
  return (
    <>
      <span class={`badge badge-${BADGES[server.state] ?? "bad"}`}>{t.serverStates[server.state] ?? server.state}</span>
      {server.out_for_ms !== null && <span class="cell-note">{t.outFor(duration(Math.ceil(server.out_for_ms / 1000) * 1e6))}</span>}
      {server.keeps_bound && <span class="cell-note">{t.keepsBound}</span>}
    </>
  );
}

/** What was sent there of late, as a bar; what it should be by the weights, where nothing was sent at all. */
function Share({ measured, byWeight }: { measured: number | null; byWeight: number }) {
  const t = useText();
  const share = measured ?? byWeight;
  return (
    <span class="server-share">
      <span class="server-bar" aria-hidden="true">
        <i style={{ width: `${100 * share}%` }} />
      </span>
      {measured === null ? t.shareByWeight(percent(byWeight, 1)) : percent(measured, 1)}
      {measured !== null && Math.abs(measured - byWeight) >= 0.05 && <span class="cell-note">{t.shareByWeight(percent(byWeight, 1))}</span>}
    </span>
  );
}

function Acts({ upstream, server, act }: { upstream: string; server: Server; act: (aim: Aim) => void }) {
  const t = useText();
  const label = server.name ?? server.address;
  const back = server.state === "draining";
  const aim = (kind: Aim["kind"]) => act({ kind, upstream, server: server.address, label, weight: server.weight });
  return (
    <>
      <button type="button" aria-label={t.actOn(back ? t.takeBack : t.drain, label)} onClick={() => aim(back ? "undrain" : "drain")}>
        {back ? t.takeBack : t.drain}
      </button>
      <button type="button" aria-label={t.actOn(t.weight, label)} onClick={() => aim("weight")}>
        {t.weight} …
      </button>
    </>
  );
}
