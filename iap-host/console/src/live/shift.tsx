import { useState } from "preact/hooks";

import type { Action, Proposal } from "../actions/types";
import { type ApiError, asApiError, post } from "../api/client";
import { useText } from "../i18n";
import { Link } from "../router";
import { Failure } from "../ui/parts";

/** What somebody wants to do with a server. */
export type Wanted =
  | { kind: "drain" | "undrain"; upstream: string; server: string }
  | { kind: "weight"; upstream: string; server: string; from: number; own: number };

/** A guarded action in two steps: what it would do, and doing it. */
export function Shift({ wanted, close }: { wanted: Wanted; close: () => void }) {
  const t = useText();
  const [proposal, setProposal] = useState<Proposal | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const ask = async (path: string, body: unknown) => {
    setBusy(true);
    setFailure(null);
    try {
      setProposal(await post<Proposal>(path, body));
    } catch (error) {
      setFailure(asApiError(error));
    }
    setBusy(false);
  };
  const submit = (event: Event) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget as HTMLFormElement);
    const { upstream, server } = wanted;
    const action: Action =
      wanted.kind === "weight"
        ? { kind: "weight", upstream, server, from: wanted.from, to: Number(given.get("to")) }
        : { kind: wanted.kind, upstream, server };
    void ask("/api/actions", { action, why: String(given.get("why")).trim() });
  };
  const waits = proposal?.state === "proposed";
  // What waits for nobody any more must not stand in the way of the next one.
  const cancel = async () => {
    if (proposal && waits) await post(`/api/actions/${proposal.id}/reject`, { why: t.withdrawn }).catch(() => null);
    close();
  };
  return (
    <div class="shift" role="group" aria-label={`${t.actionKinds[wanted.kind]} ${wanted.server}`}>
      <p>
        <strong>{t.actionKinds[wanted.kind]}</strong> <code>{wanted.server}</code>
      </p>
      {!proposal && (
        <form class="filters" onSubmit={submit}>
          {wanted.kind === "weight" && (
            <label class="field">
              <span>{t.newWeight}</span>
              <input name="to" type="number" min={1} max={1000} required defaultValue={String(wanted.own)} />
            </label>
          )}
          <label class="field">
            <span>{t.whyAsked}</span>
            <input name="why" required maxLength={500} autoFocus />
          </label>
          <button type="submit" disabled={busy}>
            {t.propose}
          </button>
          <button type="button" onClick={close}>
            {t.cancel}
          </button>
        </form>
      )}
      {proposal && (
        <>
          <div class="dry-run">
            {proposal.preview.map((line, index) => (
              <div key={index}>{line}</div>
            ))}
          </div>
          <div class="filters">
            {waits ? (
              <button
                type="button"
                class="primary"
                disabled={busy}
                onClick={() => void ask(`/api/actions/${proposal.id}/approve`, { why: proposal.why })}
              >
                {t.approve}
              </button>
            ) : (
              <span class="badge badge-ok">{t.actionStates[proposal.state]}</span>
            )}
            <button type="button" onClick={() => void cancel()}>
              {waits ? t.cancel : t.close}
            </button>
            <Link to="/actions">{t.actions}</Link>
          </div>
        </>
      )}
      {failure && <Failure error={failure} />}
    </div>
  );
}
