import type { ComponentChildren } from "preact";

import type { SessionRow } from "../api/types";
import { bytes, dateTime, number, relative } from "../format";
import { useText } from "../i18n";
import { Link, setQuery } from "../router";

interface Props {
  rows: SessionRow[];
  sort: string;
  selected: ReadonlySet<string>;
  select: (selected: Set<string>) => void;
}

export function SessionTable({ rows, sort, selected, select }: Props) {
  const t = useText();
  const all = rows.every((row) => selected.has(row.key));
  const toggle = (key: string) => {
    const next = new Set(selected);
    if (!next.delete(key)) next.add(key);
    select(next);
  };
  const column = (by: string, title: string, numeric = false) => <Sortable by={by} sort={sort} title={title} numeric={numeric} />;
  return (
    <div class="scroll">
      <table class="cards-when-narrow">
        <thead>
          <tr>
            <th scope="col">
              <input
                type="checkbox"
                aria-label={t.selectAll}
                checked={all}
                onChange={() => select(all ? new Set() : new Set(rows.map((row) => row.key)))}
              />
            </th>
            <th scope="col">{t.user}</th>
            <th scope="col">{t.key}</th>
            {column("created", t.created)}
            {column("accessed", t.lastSeen)}
            {column("deadline", t.ends)}
            <th scope="col">{t.address}</th>
            <th scope="col">{t.node}</th>
            {column("attributes", t.attributes, true)}
            {column("bytes", t.size, true)}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.key}>
              <td data-label={t.select} class="pick">
                <input
                  type="checkbox"
                  aria-label={`${t.select} ${row.key.slice(0, 16)}`}
                  checked={selected.has(row.key)}
                  onChange={() => toggle(row.key)}
                />
              </td>
              <td data-label={t.user}>{row.user ?? <span class="dim">{t.anonymous}</span>}</td>
              <td data-label={t.key} class="main-cell">
                <Link to={`/sessions/${row.key}`} title={row.key}>
                  <code>{row.key.slice(0, 16)}</code>
                </Link>
              </td>
              <td data-label={t.created} title={dateTime(row.created_ms)}>
                {relative(row.created_ms)}
              </td>
              <td data-label={t.lastSeen} title={dateTime(row.accessed_ms)}>
                {relative(row.accessed_ms)}
              </td>
              <td data-label={t.ends} title={dateTime(row.deadline_ms)}>
                {relative(row.deadline_ms)}
              </td>
              <td data-label={t.address}>
                <Filtered name="address" value={row.login_address ?? row.address} />
              </td>
              <td data-label={t.node}>
                <Filtered name="node" value={row.node} />
              </td>
              <td data-label={t.attributes} class="num">
                {number(row.attributes)}
              </td>
              <td data-label={t.size} class="num">
                {bytes(row.bytes)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The largest, or latest, come first; then the other way round; then as the store has them. */
function Sortable({ by, sort, title, numeric }: { by: string; sort: string; title: string; numeric: boolean }) {
  const down = sort === `-${by}`;
  const up = sort === by;
  const next = down ? by : up ? "" : `-${by}`;
  return (
    <th scope="col" class={numeric ? "num" : ""} aria-sort={down ? "descending" : up ? "ascending" : "none"}>
      <button type="button" class="sort" onClick={() => setQuery({ sort: next })}>
        {title}
        <span aria-hidden="true">{down ? " ↓" : up ? " ↑" : ""}</span>
      </button>
    </th>
  );
}

/** A value that finds its like. */
function Filtered({ name, value }: { name: string; value: string | null }): ComponentChildren {
  const t = useText();
  if (value === null) return <>{t.none}</>;
  return (
    <button type="button" class="link" onClick={() => setQuery({ [name]: value })}>
      {value}
    </button>
  );
}
