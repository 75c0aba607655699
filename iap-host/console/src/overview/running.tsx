import { useMay } from "../access/store";
import type { Active } from "../api/types";
import { duration, number } from "../format";
import { useText } from "../i18n";
import { Panel } from "../ui/parts";

const SHOWN = 20;

/** What runs right now, the longest first. It has no call tree until it has ended. */
export function Running({ active, count }: { active: Active[]; count: number }) {
  const t = useText();
  const details = useMay("detail");
  const rows = active.toSorted((a, b) => b.running_us - a.running_us).slice(0, SHOWN);
  return (
    <Panel class="running" title={t.runningList} side={number(count)}>
      {rows.length === 0 ? (
        <p class="note">{details ? t.runningEmpty : t.notSingle}</p>
      ) : (
        <ol class="running-list">
          {rows.map((row) => (
            <li key={row.trace_id}>
              <span class="running-path" title={row.trace_id}>
                {row.method} {row.path}
              </span>
              <strong>{duration(row.running_us)}</strong>
              <small>{[row.stage, row.route, row.user].filter(Boolean).join(" · ")}</small>
            </li>
          ))}
        </ol>
      )}
      {count > rows.length && rows.length > 0 && <p class="note">{t.andMore(number(count - rows.length))}</p>}
    </Panel>
  );
}
