import type { TargetedSubmitEvent } from "preact";

import { queryString } from "../api/client";
import { useGet } from "../api/hooks";
import type { LogLine, LogPattern, LogPatterns, Logs } from "../api/types";
import { dateTime, number, time } from "../format";
import { useText } from "../i18n";
import { Link, setQuery, useLocation } from "../router";
import { Fields } from "../transaction/details";
import { Answer, readWindow, Segments, WindowSelect } from "../ui/parts";

const LEVELS = ["trace", "debug", "info", "warn", "error"];
const LIMIT = 500;

interface Filter {
  last_s: number;
  level: string;
  service: string;
  text: string;
}

/** Log lines of all that write them, as what they say or one by one. */
export function LogsView() {
  const { query } = useLocation();
  const filter: Filter = {
    last_s: readWindow(query),
    level: query.get("level") ?? "",
    service: query.get("service") ?? "",
    text: query.get("text") ?? "",
  };
  const lines = query.get("as") === "lines";
  return (
    <>
      <Filters filter={filter} lines={lines} />
      {lines ? <Lines filter={filter} /> : <Patterns filter={filter} />}
    </>
  );
}

function Filters({ filter, lines }: { filter: Filter; lines: boolean }) {
  const t = useText();
  const submit = (event: TargetedSubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    const given = (name: string) => String(data.get(name) ?? "").trim();
    setQuery({ text: given("text"), service: given("service") });
  };
  return (
    <form class="filters" role="search" onSubmit={submit} key={`${filter.text} ${filter.service}`}>
      <WindowSelect seconds={filter.last_s} choose={(last_s) => setQuery({ last_s })} />
      <label class="field field-short">
        <span>{t.atLeast}</span>
        <select value={filter.level} onChange={(event) => setQuery({ level: event.currentTarget.value })}>
          <option value="">{t.anyLevel}</option>
          {LEVELS.map((level) => (
            <option key={level} value={level} selected={level === filter.level}>
              {level}
            </option>
          ))}
        </select>
      </label>
      <label class="field">
        <span>{t.logText}</span>
        <input name="text" type="search" autoComplete="off" spellcheck={false} defaultValue={filter.text} />
      </label>
      <label class="field field-short">
        <span>{t.service}</span>
        <input name="service" autoComplete="off" spellcheck={false} defaultValue={filter.service} />
      </label>
      <button type="submit">{t.apply}</button>
      <Segments
        label={t.logsAs}
        value={lines ? "lines" : "patterns"}
        choices={[
          { value: "patterns", text: t.logPatterns },
          { value: "lines", text: t.logLines },
        ]}
        choose={(as) => setQuery({ as: as === "lines" ? "lines" : "" })}
      />
    </form>
  );
}

const asked = (filter: Filter, more: Record<string, number>) => queryString({ ...filter, ...more });

function Patterns({ filter }: { filter: Filter }) {
  const t = useText();
  const patterns = useGet<LogPatterns>(`/api/logs/patterns${asked(filter, {})}`);
  return (
    <section class="panel" aria-busy={patterns.loading}>
      <Answer of={patterns}>
        {(data) =>
          data.patterns.length === 0 ? (
            <NoLines filtered={Boolean(filter.level || filter.service || filter.text)} />
          ) : (
            <>
              <p class="note">{data.complete ? t.logsRead(number(data.read)) : t.logsReadLatest(number(data.read))}</p>
              <div class="scroll">
                <table class="cards-when-narrow">
                  <thead>
                    <tr>
                      <th scope="col" class="num">{t.logLines}</th>
                      <th scope="col">{t.logLevel}</th>
                      <th scope="col">{t.logPattern}</th>
                      <th scope="col">{t.service}</th>
                      <th scope="col">{t.logLastSeen}</th>
                      <th scope="col">{t.transaction}</th>
                    </tr>
                  </thead>
                  <tbody>
                    {data.patterns.map((pattern) => (
                      <PatternRow key={`${pattern.level} ${pattern.service} ${pattern.pattern}`} pattern={pattern} most={data.patterns[0]!.count} />
                    ))}
                  </tbody>
                </table>
              </div>
            </>
          )
        }
      </Answer>
    </section>
  );
}

/** The longest piece of a pattern without a gap: what its lines can be searched by. */
const searchable = (pattern: string) =>
  pattern.split("<*>").reduce((longest, part) => (part.trim().length > longest.length ? part.trim() : longest), "");

function PatternRow({ pattern, most }: { pattern: LogPattern; most: number }) {
  const t = useText();
  const lines = { as: "lines", level: pattern.level, service: pattern.service, text: searchable(pattern.pattern) };
  return (
    <tr>
      <td data-label={t.logLines} class="num">
        {number(pattern.count)}
        <span class="log-share" aria-hidden="true" style={{ width: `${Math.max(1, (72 * pattern.count) / most)}px` }} />
      </td>
      <td data-label={t.logLevel}>
        <span class={`level level-${pattern.level}`}>{pattern.level}</span>
      </td>
      <td class="log-text main-cell">
        <button type="button" class="link" onClick={() => setQuery(lines)}>
          {pattern.pattern || t.logEmpty}
        </button>
      </td>
      <td data-label={t.service}>{pattern.service}</td>
      <td data-label={t.logLastSeen}>
        <time>{dateTime(pattern.last_us / 1000)}</time>
      </td>
      <td data-label={t.transaction}>{pattern.trace_id && <TraceLink id={pattern.trace_id} at_us={pattern.last_us} />}</td>
    </tr>
  );
}

function TraceLink({ id, at_us }: { id: string; at_us: number }) {
  const t = useText();
  return <Link to={`/transactions/${id}?at_us=${at_us}`}>{t.transaction}</Link>;
}

function Lines({ filter }: { filter: Filter }) {
  const t = useText();
  const lines = useGet<Logs>(`/api/logs${asked(filter, { limit: LIMIT })}`);
  return (
    <section class="panel" aria-busy={lines.loading}>
      <Answer of={lines}>
        {(data) =>
          data.lines.length === 0 ? (
            <NoLines filtered={Boolean(filter.level || filter.service || filter.text)} />
          ) : (
            <>
              {data.lines.length >= LIMIT && <p class="note">{t.logsReadLatest(number(LIMIT))}</p>}
              <ul class="lines log-lines">
                {data.lines.toReversed().map((line, index) => (
                  <Line key={index} line={line} />
                ))}
              </ul>
            </>
          )
        }
      </Answer>
    </section>
  );
}

function Line({ line }: { line: LogLine }) {
  return (
    <li>
      <time>{time(line.time_us)}</time>
      <span class={`level level-${line.level}`}>{line.level}</span>
      <span class="line-text">{line.message}</span>
      <Fields fields={line.fields} />
      <small>
        {line.service} · {line.target} {line.trace_id && <TraceLink id={line.trace_id} at_us={line.time_us} />}
      </small>
    </li>
  );
}

function NoLines({ filtered }: { filtered: boolean }) {
  const t = useText();
  return (
    <div class="empty">
      <strong>{t.noLogs}</strong>
      <p>
        {filtered ? (
          <button type="button" onClick={() => setQuery({ level: "", service: "", text: "" })}>
            {t.logsAll}
          </button>
        ) : (
          t.noLogsHint
        )}
      </p>
    </div>
  );
}
