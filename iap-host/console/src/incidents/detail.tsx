import { useRef, useState } from "preact/hooks";

import { useMay } from "../access/store";
import { YourName } from "../access/your-name";
import { ActionsOf } from "../actions";
import { type ApiError, asApiError, post, queryString } from "../api/client";
import { useGet } from "../api/hooks";
import type { Evidence, Incident } from "../api/types";
import { dateTime, number } from "../format";
import { language, useText } from "../i18n";
import { Link } from "../router";
import { Failure, Loading, Panel } from "../ui/parts";
import { SeverityBadge } from ".";

export function IncidentView({ id }: { id: string }) {
  const t = useText();
  const path = `/api/incidents/${encodeURIComponent(id)}${queryString({ lang: language() })}`;
  const { data, error, reload } = useGet<Incident>(path);
  return (
    <>
      <p>
        <Link to="/incidents">{t.backToIncidents}</Link>
      </p>
      {error ? <Failure error={error} retry={reload} /> : !data ? <Loading /> : <Told incident={data} again={reload} />}
    </>
  );
}

function Told({ incident, again }: { incident: Incident; again: () => void }) {
  const t = useText();
  const operates = useMay("operate");
  const { story, cause } = incident;
  const side = (
    <>
      <SeverityBadge incident={incident} /> {t.incidentStates[incident.state] ?? incident.state}
    </>
  );
  return (
    <Panel title={`#${incident.id} ${story.title}`} side={side} class="incident">
      <dl class="incident-story">
        <dt>{t.whenIt}</dt>
        <dd>{story.when}</dd>
        <dt>{t.impact}</dt>
        <dd>{story.impact}</dd>
        <dt>{t.causeIs}</dt>
        <dd class="incident-cause">{story.cause}</dd>
        <dt>{t.evidence}</dt>
        <dd>
          <ul>
            {cause.evidence.map((one) => (
              <li key={`${one.kind} ${one.id}`}>
                <EvidenceLink evidence={one} />
              </li>
            ))}
          </ul>
        </dd>
        <dt>{t.outOfOrder}</dt>
        <dd>
          <ul>
            {story.signals.map((signal) => (
              <li key={signal}>{signal}</li>
            ))}
          </ul>
        </dd>
        {cause.others.length > 0 && (
          <>
            <dt>{t.otherCauses}</dt>
            <dd>
              <ul>
                {cause.others.map((other) => (
                  <li key={`${other.kind} ${other.name}`}>
                    <code>{other.name}</code> {number(other.confidence * 100)} %
                  </li>
                ))}
              </ul>
            </dd>
          </>
        )}
        <dt>{t.adviceIs}</dt>
        <dd>{story.advice}</dd>
        <dt>{t.disproofIs}</dt>
        <dd>{story.disproof}</dd>
        {incident.previous !== null && (
          <>
            <dt>{t.previousIncident}</dt>
            <dd>
              <Link to={`/incidents/${incident.previous}`}>#{incident.previous}</Link>
            </dd>
          </>
        )}
        {incident.acks.length > 0 && (
          <>
            <dt>{t.acknowledgedBy}</dt>
            <dd>
              <ul>
                {incident.acks.map((ack) => (
                  <li key={`${ack.at_s} ${ack.who}`}>
                    {ack.who} · {dateTime(ack.at_s * 1000)} {ack.note && `· ${ack.note}`}
                  </li>
                ))}
              </ul>
            </dd>
          </>
        )}
      </dl>
      <ActionsOf incident={incident.id} />
      {operates && incident.state !== "resolved" && <Acknowledge id={incident.id} done={again} />}
    </Panel>
  );
}

function EvidenceLink({ evidence }: { evidence: Evidence }) {
  const t = useText();
  if (evidence.kind === "trace") {
    return (
      <Link to={`/transactions/${encodeURIComponent(evidence.id)}`}>
        {t.transaction} {evidence.id.slice(0, 8)}
      </Link>
    );
  }
  return <code>{evidence.id}</code>;
}

function Acknowledge({ id, done }: { id: number; done: () => void }) {
  const t = useText();
  const who = useRef<HTMLInputElement>(null);
  const note = useRef<HTMLInputElement>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const send = async (event: Event) => {
    event.preventDefault();
    setFailure(null);
    try {
      await post(`/api/incidents/${id}/ack`, { who: who.current?.value ?? "", note: note.current?.value ?? "" });
      done();
    } catch (error) {
      setFailure(asApiError(error));
    }
  };
  return (
    <form class="filters incident-ack" onSubmit={(event) => void send(event)}>
      <YourName input={who} />
      <label class="field">
        <span>{t.yourNote}</span>
        <input ref={note} maxLength={300} />
      </label>
      <button type="submit">{t.acknowledge}</button>
      {failure && <Failure error={failure} />}
    </form>
  );
}
