import { useEffect } from "preact/hooks";

import { useGet } from "../api/hooks";
import type { AlertEvent, AlertsAnswer, RuleState, Severity, WatchedThing } from "../api/types";
import { dateTime, duration, number } from "../format";
import { language, useText } from "../i18n";
import { Link } from "../router";
import { Failure, Loading, Panel } from "../ui/parts";
import { Channels } from "./channels";
import { Silences } from "./silences";

/** How often the page is read again. */
const EVERY_MS = 5_000;
/** Things of one rule that are listed. */
const LISTED = 20;

export function Alerts() {
  const t = useText();
  const alerts = useGet<AlertsAnswer>("/api/alerts");
  const events = useGet<{ events: AlertEvent[] }>("/api/alerts/events?limit=50");
  const reload = () => {
    alerts.reload();
    events.reload();
  };
  useEffect(() => {
    const timer = setInterval(reload, EVERY_MS);
    return () => clearInterval(timer);
  }, [alerts.reload, events.reload]);
  const { data, error } = alerts;
  if (error) return error.status === 404 ? <p class="empty">{t.apmOff}</p> : <Failure error={error} retry={reload} />;
  if (!data) return <Loading />;
  if (data.rules.length === 0) {
    return (
      <div class="empty">
        <strong>{t.noRules}</strong>
        <p>{t.noRulesHint}</p>
        <pre>{EXAMPLE}</pre>
      </div>
    );
  }
  return (
    <>
      <Rules rules={data.rules} />
      <Events events={events.data?.events ?? null} />
      <div class="alert-columns">
        <Silences rules={data.rules} silences={data.silences} done={reload} />
        <Channels channels={data.channels} done={reload} />
      </div>
    </>
  );
}

const EXAMPLE = `alerts:
  channels: {ops: {webhook: {url: {env: HOOK_URL}}}}
  rules:
    - {name: failures, measure: error_percent, above: 5, over: 1m, notify: [ops]}`;

export function SeverityMark({ severity, quiet }: { severity: Severity; quiet?: boolean }) {
  const t = useText();
  const kind = quiet ? "ok" : severity === "critical" ? "bad" : severity === "warning" ? "warn" : "ok";
  return <span class={`badge badge-${kind}`}>{t.alertSeverities[severity]}</span>;
}

/** The labels of a group, as people read them. */
export function groupText(group: Record<string, string>): string {
  return Object.entries(group)
    .map(([label, value]) => (label === "route" ? value : `${label}=${value}`))
    .join(", ");
}

function Rules({ rules }: { rules: RuleState[] }) {
  const t = useText();
  const firing = rules.reduce((sum, rule) => sum + rule.watched.filter((thing) => thing.alert).length, 0);
  return (
    <Panel title={t.rules} side={firing > 0 ? <span class="bad-text">{t.alertsFiring(number(firing))}</span> : t.allQuiet}>
      <div class="scroll">
        <table class="cards-when-narrow">
          <thead>
            <tr>
              <th scope="col">{t.rule}</th>
              <th scope="col">{t.severity}</th>
              <th scope="col">{t.condition}</th>
              <th scope="col">{t.watchedNow}</th>
              <th scope="col">{t.told}</th>
            </tr>
          </thead>
          <tbody>
            {rules.map((rule) => (
              <tr key={rule.name}>
                <td data-label={t.rule} class="main-cell">
                  {rule.name}
                  {rule.description && <small class="dim-line">{rule.description}</small>}
                </td>
                <td data-label={t.severity}>
                  <SeverityMark severity={rule.severity} quiet={!rule.watched.some((thing) => thing.alert)} />
                </td>
                <td data-label={t.condition}>{language() === "ko" ? rule.condition_ko : rule.condition}</td>
                <td data-label={t.watchedNow}>
                  {rule.error ? <span class="bad-text">{rule.error}</span> : <Watched things={rule.watched} />}
                </td>
                <td data-label={t.told}>{rule.channels.join(", ") || t.nobody}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}

/** What is broken comes first. */
function Watched({ things }: { things: WatchedThing[] }) {
  const t = useText();
  if (things.length === 0) return <>{t.nothingYet}</>;
  const rank = (thing: WatchedThing) => (thing.alert ? 0 : thing.broken_since_us !== null ? 1 : 2);
  const sorted = [...things].sort((a, b) => rank(a) - rank(b));
  return (
    <ul class="alert-things">
      {sorted.slice(0, LISTED).map((thing) => {
        const group = groupText(thing.group);
        const value = thing.value === null ? t.noValue : number(thing.value, 2);
        const since = thing.broken_since_us;
        return (
          <li key={group} class={thing.alert ? "bad-text" : since !== null ? "warn-text" : ""}>
            {thing.alert ? "✕ " : since !== null ? "… " : "✓ "}
            {group && `${group}: `}
            {value}
            {since !== null && <small> {t.sinceAgo(duration(Math.max(1e6, Date.now() * 1000 - since)))}</small>}
          </li>
        );
      })}
      {things.length > LISTED && <li>{t.more(number(things.length - LISTED))}</li>}
    </ul>
  );
}

function Events({ events }: { events: AlertEvent[] | null }) {
  const t = useText();
  return (
    <Panel title={t.alertEvents}>
      {events === null ? (
        <Loading />
      ) : events.length === 0 ? (
        <p class="empty">{t.noAlertEvents}</p>
      ) : (
        <div class="scroll scroll-tall" tabIndex={0} role="region" aria-label={t.alertEvents}>
          <table class="cards-when-narrow">
            <thead>
              <tr>
                <th scope="col">{t.time}</th>
                <th scope="col">{t.event}</th>
                <th scope="col">{t.rule}</th>
                <th scope="col">{t.about}</th>
                <th scope="col" class="num">
                  {t.value}
                </th>
                <th scope="col">{t.transaction}</th>
                <th scope="col">{t.told}</th>
              </tr>
            </thead>
            <tbody>
              {events.map((event) => (
                <tr key={event.id + event.edge}>
                  <td data-label={t.time}>{dateTime(event.at_us / 1000)}</td>
                  <td data-label={t.event}>
                    <span class={`badge badge-${event.edge === "resolved" ? "ok" : event.severity === "critical" ? "bad" : "warn"}`}>
                      {t.edges[event.edge]}
                    </span>
                  </td>
                  <td data-label={t.rule} class="main-cell">
                    {event.rule}
                  </td>
                  <td data-label={t.about}>{groupText(event.group) || t.none}</td>
                  <td data-label={t.value} class="num">
                    {event.value === null ? t.none : number(event.value, 2)}
                  </td>
                  <td data-label={t.transaction}>
                    {event.trace_id ? <Link to={`/transactions/${event.trace_id}`}>{event.trace_id.slice(0, 8)}</Link> : t.none}
                  </td>
                  <td data-label={t.told}>{event.untold ?? t.yes}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}
