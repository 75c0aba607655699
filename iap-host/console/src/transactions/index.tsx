import { queryString } from "../api/client";
import { useGet } from "../api/hooks";
import type { TransactionPage } from "../api/types";
import { number } from "../format";
import { useText } from "../i18n";
import { setQuery, useLocation } from "../router";
import { Failure, Loading, NoRequests, Pager, readWindow } from "../ui/parts";
import { Filters } from "./filters";
import { TransactionTable } from "./table";

const PAGE = 50;

/** The filters, as they stand in the address. */
export interface Filter {
  last_s: number;
  route: string;
  errors: boolean;
  min_ms: string;
  user: string;
  session: string;
  order: "newest" | "slowest";
}

function readFilter(query: URLSearchParams): Filter {
  return {
    last_s: readWindow(query),
    route: query.get("route") ?? "",
    errors: query.get("errors") === "true",
    min_ms: query.get("min_ms") ?? "",
    user: query.get("user") ?? "",
    session: query.get("session") ?? "",
    order: query.get("order") === "slowest" ? "slowest" : "newest",
  };
}

export function Transactions() {
  const t = useText();
  const { query } = useLocation();
  const filter = readFilter(query);
  const { min_ms, ...same } = filter;
  const min_us = Number(min_ms) > 0 ? Math.round(Number(min_ms) * 1000) : undefined;
  const cursor = query.get("cursor");
  const path = `/api/transactions${queryString({ ...same, min_us, cursor, limit: PAGE })}`;
  const { data, error, loading, reload } = useGet<TransactionPage>(path);
  const filtered = Boolean(filter.route || filter.errors || filter.min_ms || filter.user || filter.session);
  return (
    <>
      <Filters filter={filter} reload={reload} filtered={filtered} />
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
