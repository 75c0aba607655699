import { useRef, useState } from "preact/hooks";

import { useMay } from "../access/store";
import { type ApiError, asApiError, post } from "../api/client";
import { useGet } from "../api/hooks";
import { dateTime } from "../format";
import { useText } from "../i18n";
import { setQuery, useLocation } from "../router";
import { Answer, Failure, Heads, Loading, Pager, Panel } from "../ui/parts";
import { Changes, Diff } from "./diff";
import type { Change, Page, Revision } from "./types";

const BADGES: Record<Revision["state"], string> = { pending: "warn", stable: "ok", failed: "bad", interrupted: "warn" };

/** What has run; `turn` changes when that may have. */
export function History({ turn, changed }: { turn: string; changed: () => void }) {
  const t = useText();
  const { query } = useLocation();
  const cursor = query.get("cursor");
  const path = `/api/config/revisions?limit=20${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`;
  const page = useGet<Page>(`${path}#${turn}`);
  const [chosen, setChosen] = useState<number[]>([]);
  const [back, setBack] = useState<number | null>(null);
  const choose = (number: number) =>
    setChosen((old) => (old.includes(number) ? old.filter((one) => one !== number) : [...old, number].slice(-2)));
  const [from, to] = [...chosen].sort((a, b) => a - b);
  return (
    <Panel title={t.configHistory}>
      <Answer of={page}>
        {(data) =>
          data.revisions.length === 0 ? (
            <p class="empty">{t.noRevisions}</p>
          ) : (
            <table class="cards-when-narrow">
              <Heads texts={[t.compare, t.revisionName, t.when, t.who, t.status, t.configReason, ""]} />
              <tbody>
                {data.revisions.map((revision) => (
                  <Row
                    key={revision.number}
                    revision={revision}
                    runs={revision.number === data.running}
                    chosen={chosen.includes(revision.number)}
                    choose={() => choose(revision.number)}
                    back={() => setBack(revision.number)}
                  />
                ))}
              </tbody>
            </table>
          )
        }
      </Answer>
      <Pager paged={cursor !== null} next={page.data?.next ? String(page.data.next) : null} go={(next) => setQuery({ cursor: next })} />
      {back !== null && page.data && (
        <GoBack
          key={back}
          to={back}
          from={page.data.running}
          close={() => setBack(null)}
          done={() => {
            setBack(null);
            changed();
          }}
        />
      )}
      {back === null && from !== undefined && to !== undefined && <Between from={from} to={to} />}
      {back === null && chosen.length === 1 && <p class="note">{t.chooseTwo}</p>}
    </Panel>
  );
}

interface RowProps {
  revision: Revision;
  runs: boolean;
  chosen: boolean;
  choose: () => void;
  back: () => void;
}

function Row({ revision, runs, chosen, choose, back }: RowProps) {
  const t = useText();
  const administers = useMay("administer");
  const { number, state } = revision;
  return (
    <tr>
      <td data-label={t.compare}>
        <input type="checkbox" aria-label={t.compareOne(number)} checked={chosen} onChange={choose} />
      </td>
      <td data-label={t.revisionName}>
        <span>
          {number}
          {runs && <span class="dim"> · {t.runsNow}</span>}
        </span>
      </td>
      <td data-label={t.when}>{dateTime(revision.at_ms)}</td>
      <td data-label={t.who}>
        <span>
          {revision.author} <span class="dim">· {t.origins[revision.origin]}</span>
        </span>
      </td>
      <td data-label={t.status}>
        <span>
          <span class={`badge badge-${BADGES[state]}`}>{t.revisionStates[state]}</span>
        </span>
      </td>
      <td data-label={t.configReason} class="config-reason">
        <span>
          {revision.restores !== undefined && <span>{t.restores(revision.restores)} </span>}
          {revision.reason}
          {revision.error && <div class="bad-text">{revision.error}</div>}
        </span>
      </td>
      <td class="config-back">
        {administers && !runs && state === "stable" && (
          <button type="button" onClick={back}>
            {t.goBack}
          </button>
        )}
      </td>
    </tr>
  );
}

interface Difference {
  diff: string;
  changes: Change[] | null;
}

function Between({ from, to }: { from: number; to: number }) {
  const t = useText();
  const { data, error } = useGet<Difference>(`/api/config/diff?from=${from}&to=${to}`);
  return (
    <section class="config-review" aria-label={t.between(from, to)}>
      <h3>{t.between(from, to)}</h3>
      {error ? <Failure error={error} /> : !data ? <Loading /> : <Diff text={data.diff} />}
    </section>
  );
}

interface GoBackProps {
  from: number;
  to: number;
  close: () => void;
  done: () => void;
}

/** Asks once more, and why. */
function GoBack({ from, to, close, done }: GoBackProps) {
  const t = useText();
  const reason = useRef<HTMLInputElement>(null);
  const { data, error } = useGet<Difference>(`/api/config/diff?from=${from}&to=${to}`);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setFailure(null);
    try {
      await post("/api/config/rollback", { to, reason: reason.current?.value ?? "" });
      done();
    } catch (error) {
      setFailure(asApiError(error));
      setBusy(false);
    }
  };
  return (
    <section class="config-review" aria-label={t.goBackTo(to)}>
      <h3>{t.goBackTo(to)}</h3>
      {data?.changes && <Changes changes={data.changes} />}
      {error ? <Failure error={error} /> : !data ? <Loading /> : <Diff text={data.diff} />}
      <form class="filters config-actions" onSubmit={(event) => void submit(event)}>
        <label class="field">
          <span>{t.configReason}</span>
          <input ref={reason} required maxLength={500} />
        </label>
        <button type="submit" class="danger" disabled={busy}>
          {t.goBack}
        </button>
        <button type="button" onClick={close}>
          {t.cancel}
        </button>
      </form>
      {failure && <Failure error={failure} />}
    </section>
  );
}
