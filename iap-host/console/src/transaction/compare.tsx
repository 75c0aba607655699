import { useMemo, useState } from "preact/hooks";

import { get, queryString } from "../api/client";
import { type ApiError, asApiError } from "../api/client";
import type { Summary, Transaction, TransactionPage, TreeNode } from "../api/types";
import { duration, number, time } from "../format";
import { useText } from "../i18n";
import { Link } from "../router";
import { Failure, Heads, Panel } from "../ui/parts";
import { allNodes } from "./tree";

/** How far around a transaction others are looked for, and how many. */
const AROUND_US = 3600e6;
const LOOKED_AT = 200;
const SHOWN = 20;

interface Spent {
  count: number;
  self_us: number;
}

/** What differs from another transaction of the route that went well. */
export function Compare({ transaction, summary }: { transaction: Transaction; summary: Summary }) {
  const t = useText();
  const [other, setOther] = useState<Transaction | "none" | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const look = async () => {
    setBusy(true);
    setFailure(null);
    try {
      const found = await passing(summary);
      setOther(found ? await get<Transaction>(`/api/transactions/${found.trace_id}${queryString({ at_us: found.start_us })}`) : "none");
    } catch (error) {
      setFailure(asApiError(error));
    }
    setBusy(false);
  };
  return (
    <Panel
      title={t.compareTitle}
      side={
        <button type="button" disabled={busy} onClick={() => void look()}>
          {t.compareWith}
        </button>
      }
    >
      {failure ? (
        <Failure error={failure} />
      ) : other === null ? (
        <p class="note">{t.compareHint}</p>
      ) : other === "none" ? (
        <p class="note">{t.compareNone}</p>
      ) : (
        <Differences mine={transaction} other={other} />
      )}
    </Panel>
  );
}

/** One of the middle among those of the route that did not fail. */
async function passing(summary: Summary): Promise<Summary | null> {
  const { route, start_us, trace_id } = summary;
  const query = { route, from_us: start_us - AROUND_US, to_us: start_us + AROUND_US, limit: LOOKED_AT };
  const page = await get<TransactionPage>(`/api/transactions${queryString(query)}`);
  const well = page.items.filter((one) => !one.failed && one.trace_id !== trace_id).sort((a, b) => a.duration_us - b.duration_us);
  return well[Math.floor((well.length - 1) / 2)] ?? null;
}

function Differences({ mine, other }: { mine: Transaction; other: Transaction }) {
  const t = useText();
  const rows = useMemo(() => differences(mine.tree.roots, other.tree.roots), [mine, other]);
  const most = Math.max(1, ...rows.map((row) => Math.abs(row.mine.self_us - row.other.self_us)));
  const { summary } = other;
  return (
    <>
      {summary && (
        <p class="note">
          {t.comparedWith}{" "}
          <Link to={`/transactions/${other.trace_id}${queryString({ at_us: summary.start_us })}`}>
            {time(summary.start_us)} · {duration(summary.duration_us)}
          </Link>
        </p>
      )}
      <table class="cards-when-narrow compare">
        <Heads texts={[t.compareSpan, t.compareHere, t.compareThere, t.compareDifference]} />
        <tbody>
          {rows.slice(0, SHOWN).map(({ name, mine, other }) => {
            const more = mine.self_us - other.self_us;
            return (
              <tr key={name}>
                <td data-label={t.compareSpan} class="main-cell">
                  {name}
                </td>
                <td data-label={t.compareHere}>{spent(mine)}</td>
                <td data-label={t.compareThere}>{spent(other)}</td>
                <td data-label={t.compareDifference} class={more > 0 ? "bad-text" : ""}>
                  <span class="compare-bar" aria-hidden="true">
                    <i style={{ width: `${(100 * Math.abs(more)) / most}%` }} />
                  </span>
                  {more === 0 ? "0" : `${more > 0 ? "+" : "−"}${duration(Math.abs(more))}`}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </>
  );
}

const spent = ({ count, self_us }: Spent): string => (count === 0 ? "–" : count === 1 ? duration(self_us) : `${number(count)} × · ${duration(self_us)}`);

/** By what spans are called: how many there were, and their own time; those that differ most first. */
function differences(mine: TreeNode[], other: TreeNode[]): { name: string; mine: Spent; other: Spent }[] {
  const [here, there] = [sums(mine), sums(other)];
  const none = { count: 0, self_us: 0 };
  const rows = [...new Set([...here.keys(), ...there.keys()])].map((name) => ({ name, mine: here.get(name) ?? none, other: there.get(name) ?? none }));
  const weight = ({ mine, other }: (typeof rows)[number]) => Math.abs(mine.self_us - other.self_us);
  return rows.sort((a, b) => weight(b) - weight(a));
}

function sums(roots: TreeNode[]): Map<string, Spent> {
  const found = new Map<string, Spent>();
  for (const { span, self_us } of allNodes(roots)) {
    const name = `${span.service} · ${span.name}`;
    const { count, self_us: before } = found.get(name) ?? { count: 0, self_us: 0 };
    found.set(name, { count: count + 1, self_us: before + self_us });
  }
  return found;
}
