import { useEffect, useState } from "preact/hooks";

import { type ApiError, asApiError, get } from "../api/client";
import type { SessionEvent, SessionEventPage } from "../api/types";
import { dateTime } from "../format";
import { useText } from "../i18n";
import { Link } from "../router";
import { Failure, Loading, Panel } from "../ui/parts";

/** Events that are shown. */
const SHOWN = 50;
const MARKS: Record<string, string> = { login: "ok", created: "ok", revoked: "bad", login_refused: "bad", evicted: "warn" };

interface Heard {
  events: SessionEvent[] | null;
  failure: ApiError | null;
  lost: boolean;
}

/** The last events, newest first, and those that follow. */
function useEvents(): Heard {
  const [heard, setHeard] = useState<Heard>({ events: null, failure: null, lost: false });
  useEffect(() => {
    const abort = new AbortController();
    let source: EventSource | null = null;
    const listen = (page: SessionEventPage) => {
      setHeard({ events: page.events.toReversed(), failure: null, lost: false });
      source = new EventSource(`/api/sessions/events?since=${page.next}`);
      source.onopen = () => setHeard((old) => ({ ...old, lost: false }));
      source.onerror = () => setHeard((old) => ({ ...old, lost: true }));
      source.addEventListener("session", (message: MessageEvent<string>) => {
        const event = JSON.parse(message.data) as SessionEvent;
        setHeard((old) => ({ ...old, events: [event, ...(old.events ?? [])].slice(0, SHOWN) }));
      });
    };
    get<SessionEventPage>(`/api/sessions/events?limit=${SHOWN}`, abort.signal).then(listen, (error: unknown) => {
      if (abort.signal.aborted) return;
      const failure = asApiError(error);
      setHeard({ events: null, failure, lost: false });
    });
    return () => {
      abort.abort();
      source?.close();
    };
  }, []);
  return heard;
}

export function EventsPanel() {
  const t = useText();
  const { events, failure, lost } = useEvents();
  return (
    <Panel title={t.eventsOf} side={lost ? <span class="bad-text">{t.eventsLost}</span> : t.eventsLive}>
      {failure ? (
        failure.status === 404 ? <p class="empty">{t.eventsOff}</p> : <Failure error={failure} />
      ) : events === null ? (
        <Loading />
      ) : events.length === 0 ? (
        <p class="empty">{t.noEvents}</p>
      ) : (
        <div class="scroll scroll-tall" tabIndex={0} role="region" aria-label={t.eventsOf}>
          <table class="cards-when-narrow events">
            <thead>
              <tr>
                <th scope="col">{t.time}</th>
                <th scope="col">{t.event}</th>
                <th scope="col">{t.user}</th>
                <th scope="col">{t.session}</th>
                <th scope="col">{t.why}</th>
                <th scope="col">{t.node}</th>
              </tr>
            </thead>
            <tbody>
              {events.map((event) => (
                <Row key={event.id} event={event} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

function Row({ event }: { event: SessionEvent }) {
  const t = useText();
  const why = [event.by && t.endedBy[event.by], event.reason].filter(Boolean).join(": ");
  return (
    <tr>
      <td data-label={t.time}>{dateTime(event.at_ms)}</td>
      <td data-label={t.event} class="main-cell">
        <span class={`badge badge-${MARKS[event.kind] ?? "plain"}`}>{t.eventKinds[event.kind] ?? event.kind}</span>
      </td>
      <td data-label={t.user}>{event.user ?? t.none}</td>
      <td data-label={t.session}>
        {event.key ? (
          <Link to={`/sessions/${event.key}`} title={event.key}>
            <code>{event.key.slice(0, 16)}</code>
          </Link>
        ) : (
          t.none
        )}
      </td>
      <td data-label={t.why} class="why">
        {why || t.none}
      </td>
      <td data-label={t.node}>{event.node ?? t.none}</td>
    </tr>
  );
}
