import { useEffect } from "preact/hooks";

import { queryString } from "../api/client";
import { useGet } from "../api/hooks";
import type { Incident, IncidentList } from "../api/types";
import { dateTime, duration, number, percent } from "../format";
import { language, useText } from "../i18n";
import { Link, setQuery, useLocation } from "../router";
import { Failure, Loading, Segments } from "../ui/parts";

/** How often the list is read again. */
const EVERY_MS = 10_000;
/** Rounds until the first series are known. */
const KNOWN = 12;

export function useIncidents(state: string | null) {
  const loaded = useGet<IncidentList>(`/api/incidents${queryString({ state, lang: language() })}`);
  const { reload } = loaded;
  useEffect(() => {
    const timer = setInterval(reload, EVERY_MS);
    return () => clearInterval(timer);
  }, [reload]);
  return loaded;
}

export function SeverityBadge({ incident }: { incident: Incident }) {
  const t = useText();
  const kind = incident.state === "resolved" ? "ok" : incident.severity === "critical" ? "bad" : "warn";
  return <span class={`badge badge-${kind}`}>{t.severities[incident.severity] ?? incident.severity}</span>;
}

/** How long it lasted, or has lasted. */
export function lasted(incident: Incident): string {
  const end_s = incident.resolved_s ?? Date.now() / 1000;
  return duration(Math.max(1, end_s - incident.began_s) * 1e6);
}

export function Incidents() {
  const t = useText();
  const { query } = useLocation();
  const state = query.get("state") === "all" ? "all" : "active";
  const { data, error, reload } = useIncidents(state === "all" ? null : "active");
  return (
    <>
      <div class="filters">
        <Segments
          label={t.whichIncidents}
          value={state}
          choices={[
            { value: "active", text: t.activeOnes },
            { value: "all", text: t.allOnes },
          ]}
          choose={(value) => setQuery({ state: value === "all" ? "all" : null })}
        />
      </div>
      <section class="panel" aria-busy={!data && !error}>
        {error ? (
          error.status === 404 ? <p class="empty">{t.nothingWatched}</p> : <Failure error={error} retry={reload} />
        ) : !data ? (
          <Loading />
        ) : data.incidents.length === 0 ? (
          <div class="empty">
            <strong>{t.noIncidents}</strong>
            <p>{data.watched.rounds < KNOWN ? t.stillLearning : t.noIncidentsHint(number(data.watched.series))}</p>
          </div>
        ) : (
          <IncidentTable incidents={data.incidents} />
        )}
      </section>
    </>
  );
}

function IncidentTable({ incidents }: { incidents: Incident[] }) {
  const t = useText();
  return (
    <div class="scroll">
      <table class="cards-when-narrow">
        <thead>
          <tr>
            <th scope="col">{t.began}</th>
            <th scope="col">{t.severity}</th>
            <th scope="col">{t.whatHappened}</th>
            <th scope="col">{t.state}</th>
            <th scope="col" class="num">
              {t.affected}
            </th>
            <th scope="col" class="num">
              {t.lasted}
            </th>
          </tr>
        </thead>
        <tbody>
          {incidents.map((incident) => (
            <tr key={incident.id}>
              <td data-label={t.began}>{dateTime(incident.began_s * 1000)}</td>
              <td data-label={t.severity}>
                <SeverityBadge incident={incident} />
              </td>
              <td data-label={t.whatHappened} class="main-cell">
                <Link to={`/incidents/${incident.id}`}>{incident.story.title}</Link>
              </td>
              <td data-label={t.state}>{t.incidentStates[incident.state] ?? incident.state}</td>
              <td data-label={t.affected} class="num">
                {percent(incident.cause.impact.affected, incident.cause.impact.transactions)}
              </td>
              <td data-label={t.lasted} class="num">
                {lasted(incident)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** On the overview: what goes on, where anything does. */
export function OpenIncidents() {
  const t = useText();
  const { data } = useIncidents("active");
  if (!data || data.incidents.length === 0) return null;
  return (
    <section class="panel incidents-open" aria-label={t.openIncidents(number(data.incidents.length))}>
      <header class="panel-head">
        <h2>{t.openIncidents(number(data.incidents.length + data.more))}</h2>
        <div class="panel-side">
          <Link to="/incidents">{t.incidents}</Link>
        </div>
      </header>
      <ul class="incident-lines">
        {data.incidents.slice(0, 3).map((incident) => (
          <li key={incident.id}>
            <SeverityBadge incident={incident} /> <Link to={`/incidents/${incident.id}`}>{incident.story.title}</Link>{" "}
            <small>{lasted(incident)}</small>
          </li>
        ))}
      </ul>
    </section>
  );
}
