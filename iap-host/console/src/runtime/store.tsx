import { usePolled, useSpan } from "../api/hooks";
import { bytes, duration, number } from "../format";
import { useText } from "../i18n";
import { Link } from "../router";
import { Heads, Panel } from "../ui/parts";
import { Lines } from "./lines";

/** As `/api/session-store` has it. */
export interface Store {
  backend: string;
  state: "reachable" | "slow" | "unreachable";
  breaker_open: boolean;
  operations: { op: string; count: number; time_s: number }[];
  bytes_read: number;
  bytes_written: number;
}

/** Over so many answers rates are taken. */
const SAMPLES = 6;

/** Operations a second and their mean duration of late, in microseconds, by kind. */
export function useOperations(store: Store | null): Map<string, { rate: number; mean_us: number | null }> {
  const span = useSpan(store, SAMPLES);
  if (!span) return new Map();
  const { first, last, seconds } = span;
  return new Map(
    last.operations.map(({ op, count, time_s }) => {
      const before = first.operations.find((one) => one.op === op) ?? { count: 0, time_s: 0 };
      const more = Math.max(0, count - before.count);
      return [op, { rate: more / seconds, mean_us: more > 0 ? ((time_s - before.time_s) / more) * 1e6 : null }];
    }),
  );
}

/** Whether the store answers. */
export function StoreBadge({ store }: { store: Store }) {
  const t = useText();
  const bad = store.state !== "reachable" || store.breaker_open;
  return <span class={`badge badge-${bad ? "bad" : "ok"}`}>{store.breaker_open ? t.breakerOpen : t.storeStates[store.state]}</span>;
}

/** The store of the sessions, by kind of operation. Nothing where there are no sessions. */
export function SessionStore({ last_s, has }: { last_s: number; has: (name: string) => boolean }) {
  const t = useText();
  const store = usePolled<Store>("/api/session-store", 5000).data;
  const operations = useOperations(store);
  if (!store) return null;
  return (
    <Panel title={t.sessionStore} side={<Link to="/live">{t.upstreams}</Link>}>
      <p class="note">
        <StoreBadge store={store} /> {store.backend}
        {store.operations.length > 0 && ` · ${t.storeBytes(bytes(store.bytes_read), bytes(store.bytes_written))}`}
      </p>
      {store.operations.length > 0 && (
        <table class="cards-when-narrow">
          <Heads texts={[t.storeOperation, t.storeRate, t.storeMean, t.storeCount]} />
          <tbody>
            {store.operations.map(({ op, count }) => {
              const late = operations.get(op);
              return (
                <tr key={op}>
                  <td data-label={t.storeOperation} class="main-cell">
                    {op}
                  </td>
                  <td data-label={t.storeRate}>{late ? number(late.rate, 1) : t.none}</td>
                  <td data-label={t.storeMean}>{late?.mean_us == null ? t.none : duration(late.mean_us)}</td>
                  <td data-label={t.storeCount}>{number(count)}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      )}
      <div class="small-charts">
        {has("session.store.in_flight") && (
          <Lines title={t.storeInFlight} name="session.store.in_flight" fn="max" by={null} last_s={last_s} value={(value) => number(value)} />
        )}
        <Lines title={t.storeDropped} name="session.store.dropped" fn="rate" by={null} last_s={last_s} value={(value) => number(value, 1)} />
      </div>
    </Panel>
  );
}
