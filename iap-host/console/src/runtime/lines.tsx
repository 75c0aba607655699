import { useMemo } from "preact/hooks";

import { queryString } from "../api/client";
import { usePolled } from "../api/hooks";
import type { MetricAnswer } from "../api/types";
import { Chart } from "../charts/chart";
import { usePalette } from "../charts/theme";
import { useText } from "../i18n";
import { Failure } from "../ui/parts";

/** Samples are written every ten seconds: a shorter step would have gaps. */
const LEAST_STEP_S = 10;
const MOST_LINES = 9;

interface Props {
  title: string;
  name: string;
  fn: string;
  by: string | null;
  where?: string;
  last_s: number;
  value: (value: number) => string;
}

/** One metric of the platform, a line for each value of a label. It refreshes itself. */
export function Lines({ title, name, fn, by, where, last_s, value }: Props) {
  const t = useText();
  const palette = usePalette();
  const step_s = Math.max(LEAST_STEP_S, Math.ceil(last_s / 60));
  const path = `/api/metrics/query${queryString({ name, fn, by, where, last_s, step_s })}`;
  const { data, error, reload } = usePolled<MetricAnswer>(path, step_s * 1000);
  const groups = data?.groups.slice(0, MOST_LINES) ?? [];
  const columns = useMemo(() => {
    // The last steps have no sample yet.
    const values = (data?.groups ?? []).map((group) => group.values);
    let steps = values[0]?.length ?? 0;
    while (steps > 0 && values.every((line) => line[steps - 1] == null)) steps -= 1;
    const at = Array.from({ length: steps }, (_, step) => ((data?.window.from_us ?? 0) + step * (data?.step_us ?? 0)) / 1e6);
    return [at, ...values.slice(0, MOST_LINES).map((line) => line.slice(0, steps))];
  }, [data]);
  const colors = [palette.p50, palette.p95, palette.p99, palette.ok, palette.bad, palette.text];
  const lines = groups.map((group, at) => ({
    name: (by && group.labels[by]) || fn,
    color: colors[at % colors.length]!,
    ...(at >= colors.length ? { dash: [6, 3] } : {}),
  }));
  return (
    <figure class="small-chart">
      <figcaption>{title}</figcaption>
      {error && error.status !== 400 && error.status !== 404 ? (
        <Failure error={error} retry={reload} />
      ) : groups.length === 0 ? (
        <p class="note">{data || error ? t.noPoints : t.loading}</p>
      ) : (
        <Chart label={title} group="runtime" height={150} gaps palette={palette} data={columns} lines={lines} value={value} />
      )}
    </figure>
  );
}
