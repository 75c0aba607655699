import type { Live, Point } from "../api/types";
import { bytes, duration, number } from "../format";
import { useText } from "../i18n";
import { useLastWeek } from "./state";

interface CardProps {
  name: string;
  value: string;
  hint: string;
  bad?: boolean;
}

function Card({ name, value, hint, bad }: CardProps) {
  return (
    <div class={`card ${bad ? "card-bad" : ""}`}>
      <dt>{name}</dt>
      <dd>
        <strong>{value}</strong>
        <small>{hint}</small>
      </dd>
    </div>
  );
}

/** The p95 of what ended in the last minute, or null. */
function p95(points: Point[], now_us: number): number | null {
  const from = now_us - 60e6;
  const durations = points.filter((point) => point.start_us + point.duration_us >= from).map((point) => point.duration_us);
  durations.sort((a, b) => a - b);
  return durations[Math.max(0, Math.ceil(durations.length * 0.95) - 1)] ?? null;
}

export function Cards({ last, points }: { last: Live; points: Point[] }) {
  const t = useText();
  // The last second is not over; the five before it are.
  const five = last.live.seconds.slice(-6, -1);
  const mean = (value: (second: (typeof five)[number]) => number) =>
    five.reduce((sum, second) => sum + value(second), 0) / Math.max(1, five.length);
  const errors = mean((second) => second.errors);
  const latency = p95(points, last.live.now_us);
  const dropped = Object.entries(last.dropped).filter(([, count]) => count > 0);
  const lost = dropped.reduce((sum, [, count]) => sum + count, 0);
  const names: Record<string, string> = t.droppedKinds;
  const { sessions } = last;
  const users = last.users ?? [];
  const lastWeek = useLastWeek(users.length > 0);
  return (
    <dl class="cards">
      <Card name={t.requestsPerSecond} value={t.perSecond(number(mean((second) => second.count), 1))} hint={t.meanOf5} />
      <Card name={t.errorsPerSecond} value={t.perSecond(number(errors, 1))} hint={t.meanOf5} bad={errors > 0} />
      <Card name={t.p95} value={latency === null ? t.none : duration(latency)} hint={t.lastMinute} />
      <Card name={t.running} value={number(last.live.active_count)} hint={t.runningNow} />
      {sessions && (
        <Card
          name={t.activeSessions}
          value={number(sessions.live)}
          hint={
            sessions.exact
              ? `${t.heldIn(sessions.backend)}${sessions.bytes ? `, ${bytes(sessions.bytes)}` : ""}`
              : t.aboutSessions
          }
        />
      )}
      {users.length > 0 && (
        <Card
          name={t.usersNow}
          value={number(Math.max(...users.map((kind) => kind.now)))}
          hint={[users.map((kind) => `${t.usersBy(kind.by)} ${number(kind.now)}`).join(", "), lastWeek].filter(Boolean).join(" · ")}
        />
      )}
      {lost > 0 && (
        <Card
          name={t.dropped}
          value={number(lost)}
          hint={dropped.map(([kind, count]) => `${names[kind] ?? kind} ${number(count)}`).join(", ")}
          bad
        />
      )}
    </dl>
  );
}
