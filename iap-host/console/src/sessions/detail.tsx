import { useRef, useState } from "preact/hooks";

import { ApiError, asApiError, queryString, remove } from "../api/client";
import { useGet } from "../api/hooks";
import type { SessionDetail, SessionEntry } from "../api/types";
import { bytes, dateTime, number, relative } from "../format";
import { useText } from "../i18n";
import { Link, navigate } from "../router";
import { Failure, Loading, Panel } from "../ui/parts";
import { Reason } from "./end";

/** Transactions name a session by the beginning of its key. */
const SHORT_KEY = 16;

export function SessionView({ id }: { id: string }) {
  const t = useText();
  const { data, error, reload } = useGet<SessionDetail>(`/api/sessions/${encodeURIComponent(id)}`);
  return (
    <>
      <p class="crumb">
        <Link to="/sessions">← {t.backToSessions}</Link>
      </p>
      {error ? (
        error.status === 404 ? <p class="empty">{t.sessionMissing}</p> : <Failure error={error} retry={reload} />
      ) : data ? (
        <Found session={data} />
      ) : (
        <Loading />
      )}
    </>
  );
}

function Found({ session }: { session: SessionDetail }) {
  const t = useText();
  const who = session.user ?? t.anonymous;
  const when = (ms: number) => (
    <dd>
      {dateTime(ms)} <small>{relative(ms)}</small>
    </dd>
  );
  return (
    <>
      <section class="panel summary" aria-label={t.session}>
        <div class="summary-head">
          <h2>{who}</h2>
          <Link to={`/transactions${queryString({ session: session.key.slice(0, SHORT_KEY) })}`}>{t.sameSession}</Link>
          <End session={session} who={who} />
        </div>
        <dl class="facts">
          <div>
            <dt>{t.created}</dt>
            {when(session.created_ms)}
          </div>
          <div>
            <dt>{t.lastSeen}</dt>
            {when(session.accessed_ms)}
          </div>
          <div>
            <dt>{t.ends}</dt>
            {when(session.deadline_ms)}
          </div>
          <div>
            <dt>{t.addressOf}</dt>
            <dd>{session.address ?? t.none}</dd>
          </div>
          <div>
            <dt>{t.loginAddress}</dt>
            <dd>{session.login_address ?? t.none}</dd>
          </div>
          <div>
            <dt>{t.node}</dt>
            <dd>{session.node ?? t.none}</dd>
          </div>
          <div>
            <dt>{t.route}</dt>
            <dd>{session.route ?? t.none}</dd>
          </div>
          <div>
            <dt>{t.size}</dt>
            <dd>{bytes(session.bytes)}</dd>
          </div>
          <div>
            <dt>{t.versionNumber}</dt>
            <dd>{number(session.version)}</dd>
          </div>
          <div class="fact-wide">
            <dt>{t.key}</dt>
            <dd>
              <code>{session.key}</code>
            </dd>
          </div>
        </dl>
      </section>
      <Entries entries={session.entries} />
    </>
  );
}

function Entries({ entries }: { entries: SessionEntry[] }) {
  const t = useText();
  return (
    <Panel title={t.attributes} side={t.valuesHidden}>
      {entries.length === 0 ? (
        <p class="note">{t.noEntries}</p>
      ) : (
        <div class="scroll">
          <table>
            <thead>
              <tr>
                <th scope="col">{t.entryName}</th>
                <th scope="col" class="num">
                  {t.size}
                </th>
              </tr>
            </thead>
            <tbody>
              {entries.map((entry) => (
                <tr key={entry.name}>
                  <td>
                    <code>{entry.name}</code>
                  </td>
                  <td class="num">{bytes(entry.bytes)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

/** Ends the session, after asking. */
function End({ session, who }: { session: SessionDetail; who: string }) {
  const t = useText();
  const dialog = useRef<HTMLDialogElement>(null);
  const reason = useRef<HTMLInputElement>(null);
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const end = async () => {
    setBusy(true);
    setFailure(null);
    try {
      await remove(`/api/sessions/${session.key}${queryString({ reason: reason.current?.value.trim() })}`);
      navigate("/sessions");
    } catch (error) {
      // It ended meanwhile: what was wanted.
      if (error instanceof ApiError && error.status === 404) return navigate("/sessions");
      setFailure(asApiError(error));
      setBusy(false);
    }
  };
  return (
    <>
      <button type="button" class="danger" onClick={() => dialog.current?.showModal()}>
        {t.endSession}
      </button>
      <dialog ref={dialog} aria-labelledby="end-title">
        <h2 id="end-title">{t.endQuestion}</h2>
        <p>{t.endExplain(who)}</p>
        <Reason field={reason} />
        {failure && (
          <>
            <p class="bad-text">{t.endFailed}</p>
            <Failure error={failure} />
          </>
        )}
        <div class="dialog-buttons">
          <button type="button" onClick={() => dialog.current?.close()}>
            {t.cancel}
          </button>
          <button type="button" class="danger" disabled={busy} onClick={() => void end()}>
            {t.endSession}
          </button>
        </div>
      </dialog>
    </>
  );
}
