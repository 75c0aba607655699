import { dateTime } from "../format";
import { useText } from "../i18n";
import { Panel } from "../ui/parts";
import { Changes } from "./diff";
import type { Counts, Running, Trial } from "./types";

/** Which configuration runs, and whether the file has it. */
export function RunningPanel({ running }: { running: Running }) {
  const t = useText();
  const { revision, drift } = running;
  return (
    <Panel title={t.whatRuns}>
      <dl class="config-facts">
        <dt>{t.revisionName}</dt>
        <dd>
          {revision.number} · {t.origins[revision.origin]} · {revision.author} · {dateTime(revision.at_ms)}
        </dd>
        {revision.reason && (
          <>
            <dt>{t.configReason}</dt>
            <dd>{revision.reason}</dd>
          </>
        )}
        <dt>{t.fingerprint}</dt>
        <dd>
          <code title={running.hash}>{running.hash.slice(0, 16)}</code>
        </dd>
        <dt>{t.configFile}</dt>
        <dd>
          {running.file ? <code>{running.file}</code> : t.noFile}
          {running.instance && ` · ${t.instanceNamed(running.instance)}`}
        </dd>
      </dl>
      {running.trial && <TrialLine trial={running.trial} />}
      {drift && (
        <div class="note bad-text" role="status">
          <p>{drift.error ? t.driftError(drift.error) : t.drifted}</p>
          {drift.changes && <Changes changes={drift.changes} />}
        </div>
      )}
      {running.state.last_error && <p class="note bad-text">{t.lastRefused(running.state.last_error)}</p>}
      {!running.kept && <p class="note">{t.inMemory}</p>}
    </Panel>
  );
}

const share = ({ requests, failed }: Counts) => (requests === 0 ? "–" : `${((100 * failed) / requests).toFixed(1)} %`);

/** How far a trial is. */
function TrialLine({ trial }: { trial: Trial }) {
  const t = useText();
  const whole = trial.until_ms - trial.began_ms;
  const done = Math.min(Math.max(Date.now() - trial.began_ms, 0), whole);
  return (
    <div class="config-trial" role="status">
      <strong>{t.triedOut(trial.revision)}</strong>
      <progress max={whole} value={done} aria-label={t.triedOut(trial.revision)} />
      <span>
        {t.failedShare}: {share(trial.before)} → {share(trial.after)}
      </span>
      {trial.without_servers.length > 0 && <span class="bad-text">{t.withoutServers(trial.without_servers.join(", "))}</span>}
    </div>
  );
}
