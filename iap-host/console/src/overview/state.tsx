import { useGet, usePolled, useSpan, useStatus } from "../api/hooks";
import type { Active, Audience, RuntimeView } from "../api/types";
import { bytes, duration, number, percent } from "../format";
import { useText } from "../i18n";
import { Bands } from "../live/bands";
import { Link } from "../router";
import { type Store, StoreBadge, useOperations } from "../runtime/store";
import { Panel } from "../ui/parts";

const POLL_MS = 5000;
/** Over so many answers the use of cores is taken. */
const SAMPLES = 4;
/** Where the bands of elapsed time end, as on the page of what runs. */
const ENDS_US = [500_000, 1_000_000, 3_000_000, 8_000_000];

/** The sessions' store, this host, and its JVMs. */
export function HostState() {
  const t = useText();
  const runtime = usePolled<RuntimeView>("/api/runtime", POLL_MS).data;
  const sessions = useStatus()?.facts?.sessions;
  if (!runtime && !sessions) return null;
  return (
    <Panel class="host-state" title={t.hostState} side={<Link to="/runtime">{t.runtime}</Link>}>
      <dl class="config-facts">
        {sessions && <StoreFacts />}
        {runtime && <HostFacts runtime={runtime} />}
        {runtime?.jvms.map((jvm) => <JvmFacts key={jvm.pid} name={jvm.name} runtime={runtime} />)}
      </dl>
    </Panel>
  );
}

function StoreFacts() {
  const t = useText();
  const store = usePolled<Store>("/api/session-store", POLL_MS).data;
  const operations = useOperations(store);
  if (!store) return null;
  const all = [...operations.values()];
  const rate = all.reduce((sum, one) => sum + one.rate, 0);
  const time_us = all.reduce((sum, one) => sum + one.rate * (one.mean_us ?? 0), 0);
  return (
    <>
      <dt>{t.sessionStore}</dt>
      <dd>
        <StoreBadge store={store} /> {store.backend} {rate > 0 && t.storeTold(number(rate, 1), duration(time_us / rate))}
      </dd>
    </>
  );
}

/** The sum of the readings of a name and labels; null where there is none. */
function reading({ readings }: RuntimeView, name: string, where: Record<string, string>): number | null {
  const found = readings.filter((one) => one.name === name && Object.entries(where).every(([label, value]) => one.labels[label] === value));
  return found.length === 0 ? null : found.reduce((sum, one) => sum + one.value, 0);
}

function HostFacts({ runtime }: { runtime: RuntimeView }) {
  const t = useText();
  const first = useSpan(runtime, SAMPLES)?.first ?? runtime;
  const cpu = (view: RuntimeView) => reading(view, "process.cpu.time", { process: "gateway" });
  const [from, to, seconds] = [cpu(first), cpu(runtime), (runtime.time_us - first.time_us) / 1e6];
  const memory = reading(runtime, "process.memory.usage", { process: "gateway" });
  const waited = reading(runtime, "pressure.share", { scope: "machine", resource: "cpu", kind: "some" });
  const told = [
    from !== null && to !== null && seconds > 0 ? t.coresUsed(number((to - from) / seconds, 2)) : null,
    memory === null ? null : t.memoryHeld(bytes(memory)),
    waited === null ? null : t.cpuWaited(percent(waited, 1)),
  ];
  return (
    <>
      <dt>{t.hostNamed(runtime.node)}</dt>
      <dd>{told.filter(Boolean).join(" · ")}</dd>
    </>
  );
}

function JvmFacts({ name, runtime }: { name: string; runtime: RuntimeView }) {
  const t = useText();
  const heap = { process: name, "jvm.memory.type": "heap" };
  const used = reading(runtime, "jvm.memory.used", heap);
  const limits = runtime.readings.filter((one) => one.name === "jvm.memory.limit" && one.labels.process === name && one.labels["jvm.memory.type"] === "heap");
  const limit = Math.max(0, ...limits.map((one) => one.value));
  if (used === null) return null;
  return (
    <>
      <dt>JVM {name}</dt>
      <dd>
        {limit > 0 && <meter min={0} max={limit} value={Math.min(used, limit)} high={0.9 * limit} aria-label={t.heapOf(name)} />}{" "}
        {t.heapTold(bytes(used), limit > 0 ? bytes(limit) : t.none)}
      </dd>
    </>
  );
}

/** What runs, by route and the server that it is at, and for how long: a bar each. */
export function Speed({ active }: { active: Active[] }) {
  const t = useText();
  if (active.length === 0) return null;
  const routes = new Map<string, { route: string; bands: number[]; slowest_us: number }>();
  for (const { route: name, server, running_us } of active) {
    const route = server ? `${name} → ${server}` : name;
    const row = routes.get(route) ?? { route, bands: Array<number>(ENDS_US.length + 1).fill(0), slowest_us: 0 };
    const band = ENDS_US.findIndex((end) => running_us < end);
    row.bands[band < 0 ? ENDS_US.length : band]! += 1;
    row.slowest_us = Math.max(row.slowest_us, running_us);
    routes.set(route, row);
  }
  const rows = [...routes.values()].sort((a, b) => b.slowest_us - a.slowest_us);
  return (
    <Panel class="bands" title={t.liveBands}>
      <Bands ends_us={ENDS_US} routes={rows} />
    </Panel>
  );
}

const WEEK_S = 604_800;
const HOUR_S = 3600;

/** Users in this hour so far, and in the same hour a week ago. */
export function useLastWeek(counted: boolean): string | null {
  const t = useText();
  const path = `/api/audience?last_s=${WEEK_S + HOUR_S}&step_s=${HOUR_S}`;
  const { data } = useGet<Audience>(counted ? `${path}#${Math.floor(Date.now() / 60_000)}` : null);
  // Of the kind that tells most users apart.
  const kind = data?.kinds.toSorted((a, b) => b.now - a.now)[0];
  const points = kind?.points ?? [];
  const [then, now] = [points.find((point) => point.at_ms >= Date.now() - (WEEK_S + HOUR_S) * 1000), points.at(-1)];
  return then && now ? t.usersThisHour(number(now.users), number(then.users)) : null;
}
