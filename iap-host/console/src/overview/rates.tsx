import { useMemo } from "preact/hooks";

import type { Second } from "../api/types";
import { Chart } from "../charts/chart";
import { usePalette } from "../charts/theme";
import { duration, number } from "../format";
import { useText } from "../i18n";
import { Panel } from "../ui/parts";

interface Props {
  seconds: Second[];
  /** How long each of them is, in seconds. */
  step: number;
  side: string;
  group: string;
}

/** Request rate and latency, side by side. */
export function Rates({ seconds, step, side, group }: Props) {
  const t = useText();
  const palette = usePalette();
  const [rate, latency] = useMemo(() => columns(seconds, step), [seconds, step]);
  const last = seconds.at(-1);
  const spoken = last
    ? `${t.perSecond(number(last.count / step, 1))}, p95 ${duration(last.p95_us)}`
    : t.none;
  return (
    <div class="two">
      <Panel title={t.requestRate} side={side}>
        <Chart
          label={`${t.requestRate}, ${side}: ${spoken}`}
          group={group}
          palette={palette}
          data={rate}
          value={(value) => t.perSecond(number(value, 2))}
          lines={[
            { name: t.requests, color: palette.ok, fill: true },
            { name: t.errors, color: palette.bad, fill: true, dash: [4, 3] },
          ]}
        />
      </Panel>
      <Panel title={t.latency} side={side}>
        <Chart
          label={`${t.latency}, ${side}: ${spoken}`}
          group={group}
          palette={palette}
          data={latency}
          value={duration}
          log
          lines={[
            { name: "p50", color: palette.p50 },
            { name: "p95", color: palette.p95, dash: [6, 3] },
            { name: "p99", color: palette.p99, dash: [2, 2] },
          ]}
        />
      </Panel>
    </div>
  );
}

function columns(seconds: Second[], step: number): [(number | null)[][], (number | null)[][]] {
  const at = seconds.map((second) => second.start_us / 1e6);
  // A second without requests has no latency, rather than one of zero.
  const percentile = (name: "p50_us" | "p95_us" | "p99_us") =>
    seconds.map((second) => (second.count ? second[name] : null));
  return [
    [at, seconds.map((second) => second.count / step), seconds.map((second) => second.errors / step)],
    [at, percentile("p50_us"), percentile("p95_us"), percentile("p99_us")],
  ];
}
