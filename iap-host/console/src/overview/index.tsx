import { useMemo } from "preact/hooks";

import { useText } from "../i18n";
import { OpenIncidents } from "../incidents";
import { Failure, Loading, NoRequests } from "../ui/parts";
import { Cards } from "./cards";
import { useLive } from "./live";
import { Rates } from "./rates";
import { Running } from "./running";
import { Scatter } from "./scatter";
import { HostState, Speed } from "./state";

export function Overview() {
  const t = useText();
  const { last, points, missed, offline, refused } = useLive();
  // The last second is not over yet: it would always look like a drop.
  const seconds = useMemo(() => last?.live.seconds.slice(0, -1) ?? [], [last]);
  if (refused) return refused.status === 404 ? <p class="empty">{t.apmOff}</p> : <Failure error={refused} />;
  const banner = offline && (
    <p class="banner" role="alert">
      <strong>{t.offline}</strong> {last && t.offlineHint}
    </p>
  );
  if (!last) return banner || <Loading />;
  const quiet = points.length === 0 && last.live.active_count === 0;
  return (
    <>
      {banner}
      <OpenIncidents />
      <Cards last={last} points={points} />
      {quiet && (
        <section class="panel">
          <NoRequests />
        </section>
      )}
      <Rates seconds={seconds} step={1} side={t.last120} group="live" />
      <div class="wide-narrow">
        <Scatter points={points} now_us={last.live.now_us} missed={missed} />
        <div>
          <Speed active={last.live.active} />
          <Running active={last.live.active} count={last.live.active_count} />
          <HostState />
        </div>
      </div>
    </>
  );
}
