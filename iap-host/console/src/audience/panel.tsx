import { useEffect, useMemo, useState } from "preact/hooks";

import { queryString } from "../api/client";
import { useGet } from "../api/hooks";
import type { Audience } from "../api/types";
import { Chart } from "../charts/chart";
import { usePalette } from "../charts/theme";
import { duration, number } from "../format";
import { useText } from "../i18n";
import { Panel } from "../ui/parts";

const RANGES = [3600, 86_400, 604_800, 2_678_400];
const REFRESH_MS = 10_000;

/** How many users there were at once, by each kind of identity that is counted. */
export function AudiencePanel() {
  const t = useText();
  const palette = usePalette();
  const [last, setLast] = useState(RANGES[0]!);
  const [application, setApplication] = useState("");
  const { data, reload } = useGet<Audience>(`/api/audience${queryString({ last_s: last, application })}`);
  useEffect(() => {
    const timer = setInterval(reload, REFRESH_MS);
    return () => clearInterval(timer);
  }, [reload]);
  const before = useWeekBefore(data, last, application);
  const columns = useMemo(() => {
    const at = data?.kinds[0]?.points.map((point) => point.at_ms / 1000) ?? [];
    const kinds = (data?.kinds ?? []).map((kind) => kind.points.map((point) => point.users));
    return [at, ...kinds, ...(before ? [at.map((at_s) => before.get(Math.round(at_s)) ?? null)] : [])];
  }, [data, before]);
  // Users are not counted: there is nothing to show, and nothing is missing.
  if (!data) return null;
  const colors = [palette.p50, palette.p95, palette.p99, palette.ok];
  const range = t.ranges[last]!;
  const spoken = data.kinds.map((kind) => `${t.usersBy(kind.by)} ${number(kind.now)}`).join(", ");
  return (
    <Panel title={t.usersNow} side={t.usersStep(duration(data.step_s * 1e6).replace(/ 0 s$/, ""))}>
      <form class="filters" onSubmit={(event) => event.preventDefault()}>
        <label class="field">
          <span>{t.window}</span>
          <select value={last} onChange={(event) => setLast(Number(event.currentTarget.value))}>
            {RANGES.map((seconds) => (
              <option key={seconds} value={seconds}>
                {t.ranges[seconds]}
              </option>
            ))}
          </select>
        </label>
        <label class="field">
          <span>{t.application}</span>
          <select value={application} onChange={(event) => setApplication(event.currentTarget.value)}>
            <option value="">{t.allApplications}</option>
            {data.applications.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
        <span class="hint">
          {data.kinds.map((kind) => `${t.usersBy(kind.by)}: ${t.usersIn(range, number(kind.window))}`).join(" · ")}
        </span>
      </form>
      <Chart
        label={`${t.usersNow}, ${range}: ${spoken}`}
        group="audience"
        palette={palette}
        data={columns}
        value={(value) => number(value)}
        lines={[
          ...data.kinds.map((kind, at) => ({ name: t.usersBy(kind.by), color: colors[at % colors.length]!, fill: at === 0 })),
          ...(before ? [{ name: t.weekBefore(t.usersBy(widest(data)!.by)), color: palette.dim, dash: [5, 4] }] : []),
        ]}
      />
    </Panel>
  );
}

const WEEK_S = 604_800;

/** The kind that tells most users apart. */
const widest = ({ kinds }: Audience) => kinds.toSorted((a, b) => b.window - a.window)[0];

/** Users of that kind at the same times a week before, by the seconds that they are compared with; null where steps are too short for that,
 * or do not make up a week. */
function useWeekBefore(data: Audience | null, last: number, application: string): Map<number, number> | null {
  const kind = data && widest(data);
  // What was read before stays until the new answer is there: its steps are not those of this range.
  const fits = data?.window_s === last && last >= 86_400 && WEEK_S % data.step_s === 0;
  const asked = kind && fits ? { by: kind.by, last_s: last + WEEK_S, step_s: data.step_s, application } : null;
  const { data: longer } = useGet<Audience>(asked && `/api/audience${queryString(asked)}`);
  return useMemo(() => {
    const points = asked && longer?.kinds[0]?.points;
    return points ? new Map(points.map((point) => [Math.round(point.at_ms / 1000) + WEEK_S, point.users])) : null;
  }, [longer, asked === null]);
}
