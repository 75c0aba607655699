import { queryString } from "../api/client";
import { useGet, usePolled, useStatus } from "../api/hooks";
import type { RuntimeView, Timeline } from "../api/types";
import { bytes, duration, number, percent } from "../format";
import { useText } from "../i18n";
import { setQuery, useLocation } from "../router";
import { Failure, Loading, Panel, readWindow, WindowSelect } from "../ui/parts";
import { Events } from "./events";
import { Jvms } from "./jvms";
import { LedgerPanel } from "./ledger";
import { Lines } from "./lines";
import { Processes } from "./processes";
import { SessionStore } from "./store";

const SAMPLE_MS = 2000;
const share = (value: number) => percent(value, 1);
const seconds = (value: number) => duration(value * 1e6);
const count = (value: number) => number(value, 1);

/** Event loops, processes, the machine, JVMs, and what happened to them. */
export function Runtime() {
  const t = useText();
  const sessions = useStatus()?.facts?.sessions;
  const last_s = readWindow(useLocation().query);
  const { data, error, reload } = usePolled<RuntimeView>("/api/runtime", SAMPLE_MS);
  const timeline = useGet<Timeline>(`/api/timeline${queryString({ last_s, limit: 200 })}`);
  if (error) return error.status === 404 ? <p class="note">{t.runtimeOff}</p> : <Failure error={error} retry={reload} />;
  if (!data) return <Loading />;
  const has = (name: string) => data.readings.some((reading) => reading.name === name);
  return (
    <>
      <div class="filters">
        <WindowSelect seconds={last_s} choose={(value) => setQuery({ last_s: value })} />
        <button type="button" onClick={timeline.reload}>
          {t.refresh}
        </button>
        <span class="hint">{t.runtimeNode(data.node)}</span>
      </div>
      <Panel title={t.eventLoops}>
        <div class="small-charts">
          <Lines title={t.loopBusy} name="tokio.busy_time" fn="rate" by="runtime" last_s={last_s} value={share} />
          <Lines title={t.loopDelay} name="tokio.scheduling_delay.max" fn="max" by="runtime" last_s={last_s} value={seconds} />
          <Lines title={t.loopTasks} name="tokio.tasks.alive" fn="max" by="runtime" last_s={last_s} value={count} />
        </div>
      </Panel>
      <Panel title={t.processesAndMachine}>
        <div class="small-charts">
          <Lines title={t.cpuUsed} name="process.cpu.time" fn="rate" by="process" last_s={last_s} value={count} />
          <Lines title={t.memoryUsed} name="process.memory.usage" fn="sum" by="process" last_s={last_s} value={bytes} />
          <Lines title={t.memoryAnonymous} name="process.memory.anonymous" fn="sum" by="process" last_s={last_s} value={bytes} />
          <Lines title={t.allocatorMemory} name="allocator.memory.allocated" fn="max" by={null} last_s={last_s} value={bytes} />
          <Lines title={t.descriptors} name="process.unix.file_descriptor.count" fn="sum" by="process" last_s={last_s} value={count} />
          <Lines title={t.acceptQueue} name="listener.accept_queue.length" fn="max" by="address" last_s={last_s} value={count} />
          {has("pressure.share") && (
            <Lines title={t.pressureShare} name="pressure.share" fn="max" by="resource" last_s={last_s} value={share} />
          )}
          {has("cgroup.cpu.throttled_time") && (
            <Lines title={t.throttled} name="cgroup.cpu.throttled_time" fn="rate" by={null} last_s={last_s} value={share} />
          )}
        </div>
      </Panel>
      <Processes runtime={data} />
      {sessions && <SessionStore last_s={last_s} has={has} />}
      <Panel class="jvms" title={t.jvms} side={number(data.jvms.length)}>
        {data.jvms.length === 0 ? (
          <p class="note">{t.noJvms}</p>
        ) : (
          <>
            <div class="small-charts">
              <Lines
                title={t.heapUsed}
                name="jvm.memory.used"
                fn="sum"
                by="process"
                where="jvm.memory.type=heap"
                last_s={last_s}
                value={bytes}
              />
              <Lines title={t.gcShare} name="jvm.gc.time" fn="rate" by="process" last_s={last_s} value={share} />
              <Lines title={t.jvmThreads} name="jvm.thread.count" fn="sum" by="process" last_s={last_s} value={count} />
            </div>
            <Jvms jvms={data.jvms} />
          </>
        )}
      </Panel>
      <LedgerPanel />
      <Panel title={t.timeline}>
        {timeline.error ? (
          <Failure error={timeline.error} retry={timeline.reload} />
        ) : !timeline.data ? (
          <Loading />
        ) : timeline.data.events.length === 0 ? (
          <p class="note">{t.timelineEmpty}</p>
        ) : (
          <Events events={timeline.data.events.toReversed()} />
        )}
      </Panel>
    </>
  );
}
