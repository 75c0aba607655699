import type { TargetedSubmitEvent } from "preact";

import { queryString } from "../api/client";
import { useGet, useStatus } from "../api/hooks";
import { AudiencePanel } from "../audience/panel";
import type { SessionPage, SessionRow, SessionStats } from "../api/types";
import { bytes, dateTime, number, relative } from "../format";
import { useText } from "../i18n";
import { Link, setQuery, useLocation } from "../router";
import { Failure, Loading, Pager, reachable } from "../ui/parts";

const PAGE = 50;

export function Sessions() {
  const t = useText();
  const { query } = useLocation();
  const user = query.get("user") ?? "";
  const cursor = query.get("cursor");
  const path = `/api/sessions${queryString({ user, cursor, limit: PAGE })}`;
  const { data, error, loading, reload } = useGet<SessionPage>(path);
  const submit = (event: TargetedSubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    setQuery({ user: String(new FormData(event.currentTarget).get("user") ?? "").trim() });
  };
  return (
    <>
      <AudiencePanel />
      <form class="filters" role="search" onSubmit={submit} key={user}>
        <label class="field">
          <span>{t.userFilter}</span>
          <input name="user" autoComplete="off" spellcheck={false} defaultValue={user} />
        </label>
        <button type="submit">{t.search}</button>
        <button type="button" onClick={reload}>
          {t.refresh}
        </button>
        {user && <Link to="/sessions">{t.reset}</Link>}
        {data && <StatsLine stats={data.stats} />}
      </form>
      <section class="panel" aria-busy={loading}>
        {error ? (
          error.status === 404 ? <p class="empty">{t.sessionsOff}</p> : <Failure error={error} retry={reload} />
        ) : !data ? (
          <Loading />
        ) : data.sessions.length > 0 ? (
          <SessionTable rows={data.sessions} />
        ) : (
          <NoSessions user={user} />
        )}
      </section>
      <Pager paged={cursor !== null} next={data?.next ?? null} go={(next) => setQuery({ cursor: next })} />
    </>
  );
}

function StatsLine({ stats }: { stats: SessionStats }) {
  const t = useText();
  const live = `${stats.exact ? "" : "≈ "}${number(stats.live)}`;
  return (
    <span class="hint">
      {stats.bytes === null ? t.sessionsLive(live) : t.sessionsHeld(live, bytes(stats.bytes))} ·{" "}
      {t.expiredEvicted(number(stats.expired), number(stats.evicted))}
    </span>
  );
}

function NoSessions({ user }: { user: string }) {
  const t = useText();
  const http = useStatus()?.facts?.addresses.http;
  if (user) return <p class="empty">{t.noSessionsOfUser(user)}</p>;
  return (
    <div class="empty">
      <strong>{t.noSessions}</strong>
      {http && (
        <p>
          {t.noSessionsHint} <a href={`http://${reachable(http)}/`}>http://{reachable(http)}/</a>
        </p>
      )}
    </div>
  );
}

function SessionTable({ rows }: { rows: SessionRow[] }) {
  const t = useText();
  return (
    <div class="scroll">
      <table class="cards-when-narrow">
        <thead>
          <tr>
            <th scope="col">{t.user}</th>
            <th scope="col">{t.key}</th>
            <th scope="col">{t.created}</th>
            <th scope="col">{t.lastSeen}</th>
            <th scope="col">{t.ends}</th>
            <th scope="col" class="num">
              {t.attributes}
            </th>
            <th scope="col" class="num">
              {t.size}
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.key}>
              <td data-label={t.user}>{row.user ?? <span class="dim">{t.anonymous}</span>}</td>
              <td data-label={t.key} class="main-cell">
                <Link to={`/sessions/${row.key}`} title={row.key}>
                  <code>{row.key.slice(0, 16)}</code>
                </Link>
              </td>
              <td data-label={t.created}>{dateTime(row.created_ms)}</td>
              <td data-label={t.lastSeen} title={dateTime(row.accessed_ms)}>
                {relative(row.accessed_ms)}
              </td>
              <td data-label={t.ends} title={dateTime(row.deadline_ms)}>
                {relative(row.deadline_ms)}
              </td>
              <td data-label={t.attributes} class="num">
                {number(row.attributes)}
              </td>
              <td data-label={t.size} class="num">
                {bytes(row.bytes)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
