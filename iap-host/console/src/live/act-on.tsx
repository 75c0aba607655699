import { useEffect, useRef, useState } from "preact/hooks";

import type { Action, Proposal } from "../actions/types";
import { type ApiError, asApiError, post } from "../api/client";
import { useText } from "../i18n";
import { Failure } from "../ui/parts";

/** What is to be done to a server. */
export interface Aim {
  kind: "drain" | "undrain" | "weight";
  upstream: string;
  server: string;
  label: string;
  /** What it weighs now. */
  weight: number;
}

/** Asks why, shows what it would do, and does it: a guarded action, so it is watched, taken back if need be, and on record. */
export function ActOn({ aim, close }: { aim: Aim; close: (done: boolean) => void }) {
  const t = useText();
  const dialog = useRef<HTMLDialogElement>(null);
  const [why, setWhy] = useState("");
  const [weight, setWeight] = useState(String(aim.weight));
  const [proposal, setProposal] = useState<Proposal | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => dialog.current?.showModal(), []);

  const step = async (ask: () => Promise<void>) => {
    setBusy(true);
    setFailure(null);
    try {
      await ask();
    } catch (error) {
      setFailure(asApiError(error));
    }
    setBusy(false);
  };
  const look = () =>
    step(async () => setProposal(await post<Proposal>("/api/actions", { action: action(aim, Number(weight)), why })));
  const approve = (id: number) =>
    step(async () => {
      await post(`/api/actions/${id}/approve`, { why });
      close(true);
    });
  // What nobody wants is not left for somebody else to decide.
  const leave = () =>
    step(async () => {
      if (proposal?.state === "proposed") await post(`/api/actions/${proposal.id}/reject`, { why });
      close(false);
    });
  const submit = (event: Event) => {
    event.preventDefault();
    void (proposal ? approve(proposal.id) : look());
  };
  return (
    <dialog
      ref={dialog}
      class="act-on"
      aria-labelledby="act-on-title"
      onCancel={(event) => {
        event.preventDefault();
        void leave();
      }}
    >
      <h2 id="act-on-title">{t.actOn(t.actionKinds[aim.kind]!, `${aim.upstream} · ${aim.label}`)}</h2>
      <form onSubmit={submit}>
        {aim.kind === "weight" && (
          <label class="field">
            <span>{t.newWeight}</span>
            <input
              type="number"
              required
              min={1}
              max={1000}
              step={1}
              value={weight}
              disabled={proposal !== null}
              onInput={(event) => setWeight(event.currentTarget.value)}
            />
          </label>
        )}
        <label class="field">
          <span>{t.whyAsked}</span>
          <input required maxLength={500} value={why} disabled={proposal !== null} onInput={(event) => setWhy(event.currentTarget.value)} />
        </label>
        {proposal && <DryRun proposal={proposal} />}
        {failure && <Failure error={failure} />}
        <div class="dialog-buttons">
          <button type="button" disabled={busy} onClick={() => (failure && proposal ? close(false) : void leave())}>
            {t.cancel}
          </button>
          {(!proposal || proposal.state === "proposed") && (
            <button type="submit" class={proposal ? "primary" : ""} disabled={busy}>
              {proposal ? t.doIt : t.propose}
            </button>
          )}
        </div>
      </form>
    </dialog>
  );
}

/** What would happen; or that the same is being done by somebody already. */
function DryRun({ proposal }: { proposal: Proposal }) {
  const t = useText();
  return (
    <div class="act-on-dry" role="status">
      <strong>{t.dryRun}</strong>
      {proposal.preview.map((line) => (
        <p key={line}>{line}</p>
      ))}
      {proposal.state !== "proposed" && <p class="bad-text">{t.sameAction(t.actionStates[proposal.state] ?? proposal.state)}</p>}
    </div>
  );
}

function action({ kind, upstream, server, weight }: Aim, to: number): Action {
  return kind === "weight" ? { kind, upstream, server, from: weight, to } : { kind, upstream, server };
}
