import { usePolled } from "../api/hooks";
import type { RuntimeView } from "../api/types";
import { bytes, dateTime, number } from "../format";
import { useText } from "../i18n";
import { Link } from "../router";
import { Answer, Heads, Panel } from "../ui/parts";

interface Instance {
  number: number;
  state: string;
  since_ms: number;
  pid: number | null;
  address: string | null;
  restarts: number;
  replaced: number;
  last_exit: string | null;
}

interface Process {
  name: string;
  dropped_lines: number;
  instances: Instance[];
}

const BADGES: Record<string, string> = { ready: "ok", starting: "warn", replacing: "warn", waiting: "warn", stopping: "warn" };

/** What this process has started: each process with its instances. */
export function Processes({ runtime }: { runtime: RuntimeView }) {
  const t = useText();
  const loaded = usePolled<{ processes: Process[] }>("/api/processes", 5000);
  if (loaded.data?.processes.length === 0) return null;
  const memory = (name: string, instance: number) =>
    runtime.readings.find((one) => one.name === "process.memory.usage" && one.labels.process === name && one.labels.instance === String(instance));
  return (
    <Panel title={t.managedProcesses} side={<Link to="/actions">{t.actions}</Link>}>
      <Answer of={loaded}>
        {({ processes }) => (
          <table class="cards-when-narrow">
            <Heads texts={[t.processName, t.state, t.processPid, t.processSince, t.memoryUsed, t.processRestarts, t.processEnd]} />
            <tbody>
              {processes.flatMap(({ name, instances }) =>
                instances.map((one) => {
                  const held = memory(name, one.number);
                  return (
                    <tr key={`${name} ${one.number}`}>
                      <td data-label={t.processName} class="main-cell">
                        {name} {one.number}
                        {one.address && <span class="cell-note">{one.address}</span>}
                      </td>
                      <td data-label={t.state}>
                        <span class={`badge badge-${BADGES[one.state] ?? "bad"}`}>{t.processStates[one.state] ?? one.state}</span>
                      </td>
                      <td data-label={t.processPid}>{one.pid ?? t.none}</td>
                      <td data-label={t.processSince}>{dateTime(one.since_ms)}</td>
                      <td data-label={t.memoryUsed}>{held ? bytes(held.value) : t.none}</td>
                      <td data-label={t.processRestarts} class={one.restarts > 0 ? "bad-text" : ""}>
                        {number(one.restarts)}
                      </td>
                      <td data-label={t.processEnd}>{one.last_exit ?? t.none}</td>
                    </tr>
                  );
                }),
              )}
            </tbody>
          </table>
        )}
      </Answer>
    </Panel>
  );
}
