import { useEffect, useRef, useState } from "preact/hooks";

import type { Point } from "../api/types";
import { duration, number, time } from "../format";
import { useText } from "../i18n";
import { Link } from "../router";
import { Weight } from "../transactions/table";
import { StatusBadge } from "../ui/parts";

const PAGE = 50;

/** The transactions of a rectangle of the scatter. */
export function Selection({ points, close }: { points: Point[]; close: () => void }) {
  const t = useText();
  const [limit, setLimit] = useState(PAGE);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    setLimit(PAGE);
    box.current?.scrollIntoView({ block: "nearest" });
  }, [points]);
  const rest = points.length - limit;
  return (
    <div class="selection" ref={box} role="region" aria-label={t.selected(number(points.length))}>
      <header>
        <h3 aria-live="polite">{points.length ? t.selected(number(points.length)) : t.nothingSelected}</h3>
        <button type="button" onClick={close}>
          {t.close}
        </button>
      </header>
      {points.length > 0 && (
        <div class="scroll scroll-tall">
          <table>
            <thead>
              <tr>
                <th scope="col">{t.time}</th>
                <th scope="col">{t.route}</th>
                <th scope="col">{t.status}</th>
                <th scope="col" class="num">
                  {t.duration}
                </th>
              </tr>
            </thead>
            <tbody>
              {points.slice(0, limit).map((point) => (
                <tr key={point.seq}>
                  <td>
                    <Link to={`/transactions/${point.trace_id}`}>{time(point.start_us)}</Link>
                    <Weight weight={point.weight} />
                  </td>
                  <td>{point.route || t.none}</td>
                  <td>
                    <StatusBadge status={point.status} failed={point.failed} />
                  </td>
                  <td class="num">{duration(point.duration_us)}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {rest > 0 && (
            <button type="button" class="more" onClick={() => setLimit(limit + PAGE)}>
              {t.more(number(Math.min(rest, PAGE)))}
            </button>
          )}
        </div>
      )}
    </div>
  );
}
