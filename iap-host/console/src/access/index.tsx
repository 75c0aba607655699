import { useState } from "preact/hooks";

import { type ApiError, asApiError, remove } from "../api/client";
import { useGet } from "../api/hooks";
import { dateTime, relative } from "../format";
import { useText } from "../i18n";
import { setQuery, useLocation } from "../router";
import { Answer, Coded, Failure, Heads, Loading, Pager, Panel } from "../ui/parts";
import { SignIn } from "./sign-in";
import { readAccess, useAccess, useMay } from "./store";

interface Signed {
  id: string;
  name: string;
  began_ms: number;
  seen_ms: number;
  from: string;
  agent: string;
  /** Whom a provider has vouched for. */
  oidc?: { subject: string };
}

interface Done {
  at_ms: number;
  who: string;
  role?: string;
  from?: string;
  what: string;
  with?: unknown;
  status: number;
}

/** Who one is, who is signed in, and who has done what. */
export function AccessView() {
  const t = useText();
  const { access } = useAccess();
  const administers = useMay("administer");
  if (!access) return <Loading />;
  const caller = access.caller;
  return (
    <>
      {!access.enabled && (
        <p class="note">
          <Coded text={t.noAccounts} />
        </p>
      )}
      {access.enabled && caller?.via === "anonymous" && <SignIn />}
      {caller && (
        <Panel title={t.you}>
          <p class="access-line">
            <strong>{caller.name}</strong> · {t.roles[caller.role] ?? caller.role} · {t.vias[caller.via] ?? caller.via}
          </p>
          <p class="access-line">
            {t.mayDo}: {caller.rights.map((right) => t.rightNames[right] ?? right).join(" · ")}
          </p>
        </Panel>
      )}
      {access.enabled && caller && <SignedIn />}
      {access.enabled && administers && <Audit />}
    </>
  );
}

function SignedIn() {
  const t = useText();
  const list = useGet<{ sign_ins: Signed[]; own: string | null }>("/api/access/sign-ins");
  const [failure, setFailure] = useState<ApiError | null>(null);
  const end = async (id: string) => {
    setFailure(null);
    try {
      await remove(`/api/access/sign-ins/${encodeURIComponent(id)}`);
    } catch (error) {
      setFailure(asApiError(error));
    }
    if (id === list.data?.own) await readAccess();
    else list.reload();
  };
  return (
    <Panel title={t.signIns}>
      <Answer of={list}>
        {(data) =>
          data.sign_ins.length === 0 ? (
            <p class="empty">{t.noSignIns}</p>
          ) : (
            <table class="cards-when-narrow">
              <Heads texts={[t.who, t.since, t.seenLast, t.fromWhere, t.browser, ""]} />
              <tbody>
                {data.sign_ins.map((one) => (
                  <tr key={one.id}>
                    <td data-label={t.who}>
                      {one.name}
                      {one.oidc && (
                        <span class="dim" title={one.oidc.subject}>
                          {" "}
                          · {t.vias.oidc}
                        </span>
                      )}
                      {one.id === data.own && <span class="dim"> · {t.thisOne}</span>}
                    </td>
                    <td data-label={t.since}>{dateTime(one.began_ms)}</td>
                    <td data-label={t.seenLast}>{relative(one.seen_ms)}</td>
                    <td data-label={t.fromWhere}>{one.from}</td>
                    <td data-label={t.browser} class="access-agent" title={one.agent}>
                      {one.agent}
                    </td>
                    <td>
                      <button type="button" onClick={() => void end(one.id)}>
                        {t.endSignIn}
                      </button>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          )
        }
      </Answer>
      {failure && <Failure error={failure} />}
    </Panel>
  );
}

function Audit() {
  const t = useText();
  const { query } = useLocation();
  const before = query.get("before_ms");
  const records = useGet<{ records: Done[]; next_before_ms: number | null }>(
    `/api/audit?limit=50${before ? `&before_ms=${encodeURIComponent(before)}` : ""}`,
  );
  return (
    <Panel title={t.auditTitle}>
      <Answer of={records}>
        {(data) =>
          data.records.length === 0 ? (
            <p class="empty">{t.noAudit}</p>
          ) : (
            <table class="cards-when-narrow">
              <Heads texts={[t.when, t.who, t.fromWhere, t.what, t.result]} />
              <tbody>
                {data.records.map((done, index) => (
                  <tr key={`${done.at_ms}-${index}`}>
                    <td data-label={t.when}>{dateTime(done.at_ms)}</td>
                    <td data-label={t.who}>
                      {done.who}
                      {done.role && <span class="dim"> · {t.roles[done.role] ?? done.role}</span>}
                    </td>
                    <td data-label={t.fromWhere}>{done.from ?? "–"}</td>
                    <td data-label={t.what} class="access-what">
                      {done.what}
                      {done.with !== undefined && <code class="access-with">{JSON.stringify(done.with)}</code>}
                    </td>
                    <td data-label={t.result}>
                      <span class={`badge badge-${done.status < 400 ? "ok" : "warn"}`}>{done.status}</span>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          )
        }
      </Answer>
      <Pager
        paged={before !== null}
        next={records.data?.next_before_ms ? String(records.data.next_before_ms) : null}
        go={(cursor) => setQuery({ before_ms: cursor })}
      />
    </Panel>
  );
}
