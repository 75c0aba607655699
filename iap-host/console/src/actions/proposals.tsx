import { useRef, useState } from "preact/hooks";

import { useMay } from "../access/store";
import { type ApiError, asApiError, post } from "../api/client";
import { dateTime } from "../format";
import { useText } from "../i18n";
import type { Dictionary } from "../i18n/en";
import { Link } from "../router";
import { Failure } from "../ui/parts";
import type { Action, By, Proposal } from "./types";

const BADGES: Record<Proposal["state"], string> = {
  proposed: "warn",
  running: "warn",
  watching: "warn",
  done: "ok",
  rejected: "ok",
  expired: "ok",
  reverted: "bad",
  failed: "bad",
};

/** What is to be done, in a line. */
function target(action: Action): string {
  if (action.kind === "restart") return action.process;
  if (action.kind === "rollback") return `${action.from} → ${action.to}`;
  if (action.kind === "end_sessions")
    return Object.entries(action.filter)
      .map(([name, value]) => `${name}=${value}`)
      .join(" ");
  if (action.kind === "limit") return `${action.setting} ${action.from} → ${action.to}`;
  if (action.kind === "weight") return `${action.upstream} · ${action.server} ${action.from} → ${action.to}`;
  return `${action.upstream} · ${action.server}`;
}

const person = (by: By, t: Dictionary) => by.name ?? t.byKinds[by.kind] ?? by.kind;

/** Proposals, the latest first, with a yes and a no where they wait for one. */
export function Proposals({ actions, changed }: { actions: Proposal[]; changed: () => void }) {
  const t = useText();
  const operates = useMay("operate");
  return (
    <ul class="proposals">
      {actions.map((proposal) => (
        <li key={proposal.id}>
          <header>
            <span class={`badge badge-${BADGES[proposal.state]}`}>{t.actionStates[proposal.state]}</span>
            <strong>{t.actionKinds[proposal.action.kind]}</strong>
            <code>{target(proposal.action)}</code>
            {proposal.incident !== null && <Link to={`/incidents/${proposal.incident}`}>{t.ofIncident(proposal.incident)}</Link>}
          </header>
          <dl>
            <dt>{t.proposed}</dt>
            <dd>
              {person(proposal.by, t)} · {dateTime(proposal.at_ms)}
            </dd>
            <dt>{t.whyAsked}</dt>
            <dd>{proposal.why}</dd>
            {proposal.preview.length > 0 && (
              <>
                <dt>{t.dryRun}</dt>
                <dd class={["rollback", "limit"].includes(proposal.action.kind) ? "dry-run mono" : "dry-run"}>
                  {proposal.preview.map((line, index) => (
                    <div key={index}>{line}</div>
                  ))}
                </dd>
              </>
            )}
            {proposal.decision && (
              <>
                <dt>{t.decided}</dt>
                <dd>
                  {person(proposal.decision.by, t)} · {dateTime(proposal.decision.at_ms)} · {proposal.decision.why}
                </dd>
              </>
            )}
            {proposal.outcome && (
              <>
                <dt>{t.cameOfIt}</dt>
                <dd>{proposal.outcome}</dd>
              </>
            )}
          </dl>
          {operates && proposal.state === "proposed" && <Decide id={proposal.id} changed={changed} />}
        </li>
      ))}
    </ul>
  );
}

function Decide({ id, changed }: { id: number; changed: () => void }) {
  const t = useText();
  const why = useRef<HTMLInputElement>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const decide = async (event: SubmitEvent) => {
    event.preventDefault();
    const answer = (event.submitter as HTMLButtonElement | null)?.value ?? "reject";
    setBusy(true);
    setFailure(null);
    try {
      await post(`/api/actions/${id}/${answer}`, { why: why.current?.value ?? "" });
      changed();
    } catch (error) {
      setFailure(asApiError(error));
    }
    setBusy(false);
  };
  return (
    <form class="filters" onSubmit={(event) => void decide(event)}>
      <label class="field">
        <span>{t.yourReason}</span>
        <input ref={why} required maxLength={500} />
      </label>
      <button type="submit" class="primary" value="approve" disabled={busy}>
        {t.approve}
      </button>
      <button type="submit" value="reject" disabled={busy}>
        {t.reject}
      </button>
      {failure && <Failure error={failure} />}
    </form>
  );
}
