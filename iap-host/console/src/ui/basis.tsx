import type { Basis } from "../api/drill";
import { number, time } from "../format";
import { useText } from "../i18n";

/** What an answer is made of, in words. */
export function BasisNote({ basis, from_us }: { basis: Basis; from_us?: number }) {
  const t = useText();
  const text = basis.truncated
    ? t.basisPart(number(basis.traces), number(basis.transactions))
    : t.basisAll(number(basis.transactions));
  const cut = from_us !== undefined && basis.window.from_us > from_us;
  return (
    <p class="count">
      {text}
      {cut && ` ${t.basisCut(time(basis.window.from_us))}`}
    </p>
  );
}

/** A small series as bars. */
export function Bars({ values, label, bad }: { values: number[]; label: string; bad?: boolean }) {
  const top = Math.max(1, ...values);
  const width = 100 / values.length;
  return (
    <svg class={`bars ${bad ? "bars-bad" : ""}`} viewBox="0 0 100 24" preserveAspectRatio="none" role="img" aria-label={label}>
      {values.map((value, at) =>
        // Something is never nothing.
        value > 0 ? (
          <rect key={at} x={at * width} y={24 - Math.max(2, (24 * value) / top)} width={width * 0.8} height={24} />
        ) : null,
      )}
      <path d="M0 23.5h100" />
    </svg>
  );
}
