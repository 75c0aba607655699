import type { Summary } from "../api/types";
import { duration, number, time } from "../format";
import { useText } from "../i18n";
import { Link } from "../router";
import { StatusBadge } from "../ui/parts";

/** Method and path; what came by OTLP may only have a name. */
export function Name({ summary }: { summary: Summary }) {
  const { method, path, route, service } = summary;
  return (
    <>
      {method && <span class="method">{method} </span>}
      {path || route || service}
    </>
  );
}

/** "×37" where a transaction stands for others, which were not kept. */
export function Weight({ weight }: { weight: number }) {
  const t = useText();
  if (weight <= 1) return null;
  const text = t.standsFor(number(weight));
  return (
    <span class="cell-note" title={text} aria-label={text}>
      ×{number(weight)}
    </span>
  );
}

/** Shorter bars would be specks. */
const WORTH_A_BAR = 0.02;

export function TransactionTable({ items }: { items: Summary[] }) {
  const t = useText();
  const longest = Math.max(1, ...items.map((item) => item.duration_us));
  return (
    <div class="scroll">
      <table class="cards-when-narrow">
        <thead>
          <tr>
            <th scope="col">{t.time}</th>
            <th scope="col">{t.path}</th>
            <th scope="col">{t.route}</th>
            <th scope="col">{t.status}</th>
            <th scope="col" class="num">
              {t.duration}
            </th>
            <th scope="col">{t.user}</th>
            <th scope="col">{t.client}</th>
          </tr>
        </thead>
        <tbody>
          {items.map((item) => (
            <tr key={`${item.trace_id} ${item.span_id}`}>
              <td data-label={t.time}>{time(item.start_us)}</td>
              <td data-label={t.path} class="main-cell">
                <Link to={`/transactions/${item.trace_id}?at_us=${item.start_us}`} title={item.trace_id}>
                  <Name summary={item} />
                </Link>
                <Weight weight={item.weight} />
              </td>
              <td data-label={t.route}>{item.route || t.none}</td>
              <td data-label={t.status}>
                <StatusBadge status={item.status} failed={item.failed} />
                {item.error && <span class="cell-note">{item.error}</span>}
              </td>
              <td data-label={t.duration} class="num">
                {item.duration_us > longest * WORTH_A_BAR && (
                  <span class="meter" style={{ width: `${(100 * item.duration_us) / longest}%` }} />
                )}
                <span class="over">{duration(item.duration_us)}</span>
              </td>
              <td data-label={t.user}>{item.user ?? t.none}</td>
              <td data-label={t.client}>{item.client ?? t.none}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
