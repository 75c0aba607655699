import { queryString } from "../api/client";
import type { PointsAnswer } from "../api/drill";
import { useGet } from "../api/hooks";
import type { TransactionPage } from "../api/types";
import { duration, number, time } from "../format";
import { useText } from "../i18n";
import type { Area, Scale } from "../overview/plot";
import { setQuery, useLocation } from "../router";
import { Failure, Loading, NoRequests, Pager, readWindow } from "../ui/parts";
import { readArea, writeArea } from "./area";
import { Filters } from "./filters";
import { WindowScatter } from "./scatter";
import { TransactionTable } from "./table";

const PAGE = 50;

/** The filters, as they stand in the address. */
export interface Filter {
  last_s: number;
  /** A window that stays, in place of the last seconds. */
  fixed: { from_us: number; to_us: number } | null;
  route: string;
  service: string;
  errors: boolean;
  min_ms: string;
  user: string;
  session: string;
  order: "newest" | "slowest";
  area: Area | null;
}

function readFilter(query: URLSearchParams): Filter {
  const [from_us, to_us] = [Number(query.get("from_us")), Number(query.get("to_us"))];
  return {
    last_s: readWindow(query),
    fixed: Number.isSafeInteger(from_us) && Number.isSafeInteger(to_us) && 0 < from_us && from_us < to_us ? { from_us, to_us } : null,
    route: query.get("route") ?? "",
    service: query.get("service") ?? "",
    errors: query.get("errors") === "true",
    min_ms: query.get("min_ms") ?? "",
    user: query.get("user") ?? "",
    session: query.get("session") ?? "",
    order: query.get("order") === "slowest" ? "slowest" : "newest",
    area: readArea(query.get("area")),
  };
}

export function Transactions() {
  const t = useText();
  const { query } = useLocation();
  const filter = readFilter(query);
  const { route, service, errors, user, session, order, area } = filter;
  const min_us = Number(filter.min_ms) > 0 ? Math.round(Number(filter.min_ms) * 1000) : 0;
  const scale: Scale = query.get("scale") === "linear" ? "linear" : "log";
  const cursor = query.get("cursor");
  const same = { route, service, errors, user, session };
  const window = filter.fixed ?? { last_s: filter.last_s };
  const points = useGet<PointsAnswer>(`/api/points${queryString({ ...window, ...same, min_us })}`);
  const inside = area
    ? { from_us: area.from_us, to_us: area.to_us, min_us: Math.max(min_us, area.low_us), max_us: area.high_us }
    : { ...window, min_us };
  const listed = useGet<TransactionPage>(`/api/transactions${queryString({ ...inside, ...same, order, cursor, limit: PAGE })}`);
  const { data, error, loading } = listed;
  const reload = () => {
    points.reload();
    listed.reload();
  };
  const filtered = Boolean(route || service || errors || filter.min_ms || user || session || area || filter.fixed);
  // A window that goes on would leave the area behind.
  const choose = (chosen: Area | null, answer: PointsAnswer) =>
    setQuery({ ...(chosen ? answer.window : {}), area: chosen && writeArea(chosen) });
  return (
    <>
      <Filters filter={filter} reload={reload} filtered={filtered} />
      {points.data && points.data.kept > 0 && (
        <WindowScatter
          answer={points.data}
          scale={scale}
          setScale={(value) => setQuery({ scale: value === "linear" ? value : null }, true)}
          chosen={area}
          choose={choose}
        />
      )}
      {area && <p class="count area-note">{t.inArea(areaText(area))}</p>}
      <section class="panel" aria-busy={loading}>
        {error ? (
          <Failure error={error} retry={reload} />
        ) : !data ? (
          <Loading />
        ) : data.items.length > 0 ? (
          <TransactionTable items={data.items} />
        ) : filtered || cursor || filter.last_s < 86_400 ? (
          <p class="empty">{t.noMatches}</p>
        ) : (
          <NoRequests />
        )}
      </section>
      {data && data.items.length > 0 && <p class="count">{t.shown(number(data.items.length))}</p>}
      <Pager paged={cursor !== null} next={data?.next ?? null} go={(next) => setQuery({ cursor: next })} />
    </>
  );
}

function areaText({ from_us, to_us, low_us, high_us }: Area): string {
  const high = high_us < Number.MAX_SAFE_INTEGER ? duration(high_us) : "…";
  return `${time(from_us)} – ${time(to_us)}, ${duration(low_us)} – ${high}`;
}
