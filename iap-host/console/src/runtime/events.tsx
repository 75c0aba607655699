import type { TimelineEvent } from "../api/types";
import { duration, time } from "../format";
import { useText } from "../i18n";

/** Events of the time line, with the overlap where there is one. */
export function Events({ events }: { events: TimelineEvent[] }) {
  const t = useText();
  const overlaps = events.some((event) => event.overlap_us !== undefined);
  return (
    <div class="scroll">
      <table class="cards-when-narrow timeline">
        <thead>
          <tr>
            <th scope="col">{t.time}</th>
            <th scope="col">{t.event}</th>
            <th scope="col" class="num">
              {t.duration}
            </th>
            {overlaps && (
              <th scope="col" class="num">
                {t.overlap}
              </th>
            )}
            <th scope="col">{t.detail}</th>
            <th scope="col">{t.node}</th>
          </tr>
        </thead>
        <tbody>
          {events.map((event, at) => (
            <tr key={`${event.time_us} ${at}`} class={event.elsewhere ? "elsewhere" : undefined}>
              <td data-label={t.time}>{time(event.time_us)}</td>
              <td data-label={t.event}>
                <span class={`badge badge-${/crashed|ejected|refused|evicted|burst/.test(event.kind) ? "bad" : "warn"}`}>
                  {t.eventKinds[event.kind] ?? event.kind}
                </span>
              </td>
              <td data-label={t.duration} class="num">
                {event.duration_us > 0 ? duration(event.duration_us) : t.none}
              </td>
              {overlaps && (
                <td data-label={t.overlap} class="num">
                  {event.overlap_us ? duration(event.overlap_us) : t.none}
                </td>
              )}
              <td data-label={t.detail} class="main-cell">
                {event.text}
              </td>
              <td data-label={t.node}>
                {event.node}
                {event.served && <span class="cell-note">{t.servedIt}</span>}
                {event.elsewhere && <span class="cell-note">{t.anotherNode}</span>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
