import { usePolled } from "../api/hooks";
import { useMay } from "../access/store";
import { useText } from "../i18n";
import { Failure, Loading, Panel } from "../ui/parts";
import { Propose } from "./propose";
import { Proposals } from "./proposals";
import type { Proposal } from "./types";

/** What was proposed, decided and done. */
export function Actions() {
  const t = useText();
  const operates = useMay("operate");
  const { data, error, reload } = usePolled<{ actions: Proposal[] }>("/api/actions", 3000);
  return (
    <>
      {operates && <Propose done={reload} />}
      <Panel title={t.actions}>
        {error ? (
          <Failure error={error} retry={reload} />
        ) : !data ? (
          <Loading />
        ) : data.actions.length === 0 ? (
          <div class="empty">
            <strong>{t.noActions}</strong>
            <p>{t.noActionsHint}</p>
          </div>
        ) : (
          <Proposals actions={data.actions} changed={reload} />
        )}
      </Panel>
    </>
  );
}

/** Those for one incident; nothing where there are none. */
export function ActionsOf({ incident }: { incident: number }) {
  const t = useText();
  const { data, reload } = usePolled<{ actions: Proposal[] }>(`/api/actions?incident=${incident}`, 3000);
  if (!data || data.actions.length === 0) return null;
  return (
    <Panel title={t.actions}>
      <Proposals actions={data.actions} changed={reload} />
    </Panel>
  );
}
