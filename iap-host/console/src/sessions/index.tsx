import { useState } from "preact/hooks";

import { queryString } from "../api/client";
import { useGet, useStatus } from "../api/hooks";
import type { SessionPage, SessionStats } from "../api/types";
import { AudiencePanel } from "../audience/panel";
import { bytes, number } from "../format";
import { useText } from "../i18n";
import { setQuery, useLocation } from "../router";
import { Failure, Loading, Pager, reachable } from "../ui/parts";
import { EndMany } from "./end";
import { EventsPanel } from "./events";
import { readConditions, SessionFilters } from "./filters";
import { LoginRules } from "./rules";
import { SessionTable } from "./table";

const PAGE = 50;
const NOTHING: ReadonlySet<string> = new Set();

export function Sessions() {
  const t = useText();
  const { query } = useLocation();
  const conditions = readConditions(query);
  const sort = query.get("sort") ?? "";
  const cursor = query.get("cursor");
  const path = `/api/sessions${queryString({ ...conditions, sort, cursor, limit: PAGE })}`;
  const { data, error, loading, reload } = useGet<SessionPage>(path);
  // What was selected on another page is not seen any more, so it does not count.
  const [chosen, setChosen] = useState({ path, keys: NOTHING });
  const rows = data?.sessions ?? [];
  const selected = new Set(rows.map((row) => row.key).filter((key) => chosen.path === path && chosen.keys.has(key)));
  const filtered = Object.keys(conditions).length > 0;
  const ended = () => {
    setChosen({ path, keys: NOTHING });
    reload();
  };
  return (
    <>
      <AudiencePanel />
      <SessionFilters
        conditions={conditions}
        sort={sort}
        reload={reload}
        side={data && <StatsLine stats={data.stats} />}
      />
      <section class="panel" aria-busy={loading}>
        {error ? (
          error.status === 404 ? <p class="empty">{t.sessionsOff}</p> : <Failure error={error} retry={reload} />
        ) : !data ? (
          <Loading />
        ) : rows.length > 0 ? (
          <SessionTable
            rows={rows}
            sort={sort}
            selected={selected}
            select={(keys) => setChosen({ path, keys })}
          />
        ) : (
          <NoSessions user={conditions.user} filtered={filtered || cursor !== null} />
        )}
      </section>
      {data && (
        <div class="under">
          {rows.length > 0 && (
            <EndMany meant={{ keys: [...selected] }} disabled={selected.size === 0} done={ended}>
              {t.endSelected(number(selected.size))}
            </EndMany>
          )}
          {rows.length > 0 && filtered && (
            <EndMany meant={{ filter: conditions }} disabled={false} done={ended}>
              {t.endMatching}
            </EndMany>
          )}
          {(filtered || sort) && (
            <span class="hint">
              {t.lookedAt(number(data.looked_at), number(data.stats.live))} {!data.complete && t.notAll}
            </span>
          )}
        </div>
      )}
      <Pager paged={cursor !== null} next={data?.next ?? null} go={(next) => setQuery({ cursor: next })} />
      <LoginRules />
      <EventsPanel />
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

function NoSessions({ user, filtered }: { user: string | undefined; filtered: boolean }) {
  const t = useText();
  const http = useStatus()?.facts?.addresses.http;
  if (user) return <p class="empty">{t.noSessionsOfUser(user)}</p>;
  if (filtered) return <p class="empty">{t.nothingMatches}</p>;
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
