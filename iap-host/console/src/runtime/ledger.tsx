import { usePolled } from "../api/hooks";
import type { Account, Accounted, Status } from "../api/types";
import { number } from "../format";
import { useText } from "../i18n";
import { Panel } from "../ui/parts";

const POLL_MS = 5000;
const ORDER: Accounted[] = ["transactions", "spans", "logs", "received_spans", "received_logs", "received_points"];
const waiting = (account: Account) => Math.max(0, account.made - account.kept - account.sampled_out - account.dropped);

/** What became of each record of telemetry since the start. */
export function LedgerPanel() {
  const t = useText();
  const ledger = usePolled<Status>("/api/status", POLL_MS).data?.ledger;
  if (!ledger) return null;
  const rows = ORDER.map((name) => [name, ledger[name]] as const).filter(([, account]) => account.made > 0);
  return (
    <Panel class="ledger" title={t.ledger} side={t.sinceStart}>
      {rows.length === 0 ? (
        <p class="note">{t.ledgerEmpty}</p>
      ) : (
        <div class="scroll">
          <table class="cards-when-narrow">
            <thead>
              <tr>
                <th scope="col">{t.entryName}</th>
                {[t.ledgerMade, t.ledgerKept, t.ledgerSampled, t.dropped, t.ledgerWaiting].map((name) => (
                  <th key={name} scope="col" class="num">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {rows.map(([name, account]) => (
                <tr key={name}>
                  <td data-label={t.entryName} class="main-cell">
                    {t.accounts[name]}
                  </td>
                  <td data-label={t.ledgerMade} class="num">
                    {number(account.made)}
                  </td>
                  <td data-label={t.ledgerKept} class="num">
                    {number(account.kept)}
                  </td>
                  <td data-label={t.ledgerSampled} class="num">
                    {number(account.sampled_out)}
                  </td>
                  <td data-label={t.dropped} class={account.dropped > 0 ? "num bad-text" : "num"}>
                    {number(account.dropped)}
                  </td>
                  <td data-label={t.ledgerWaiting} class="num">
                    {number(waiting(account))}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <p class="hint">{t.ledgerHint}</p>
    </Panel>
  );
}
