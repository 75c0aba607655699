import type { Attributes, LinkedFrom, LogLine, SpanEvent, TreeNode } from "../api/types";
import { duration, time } from "../format";
import { useText } from "../i18n";
import { Copy } from "../ui/copy";
import { Panel } from "../ui/parts";
import { Links } from "./links";
import { formatSql } from "./sql";
import { began, isError, statement, valueText } from "./tree";

/** Everything about one span. */
export function Details({ node, from_us, linkedFrom }: { node: TreeNode; from_us: number; linkedFrom: LinkedFrom[] }) {
  const t = useText();
  const { span, logs } = node;
  const sql = statement(span);
  const attributes = Object.entries(span.attributes ?? {}).filter(([name]) => name !== "db.query.text" && name !== "db.statement");
  const events = span.events ?? [];
  return (
    <Panel class="details" title={t.details}>
      <div class="details-body">
        <h3 class="details-name">
          {isError(span) && <span class="bad-text">✕ </span>}
          {span.name}
        </h3>
        <dl class="pairs">
          <dt>{t.duration}</dt>
          <dd>
            {duration(span.duration_us)}
            <small>{t.selfOf(duration(node.self_us), duration(span.duration_us))}</small>
            {node.critical_us > 0 && <small>{t.onCriticalPath(duration(node.critical_us))}</small>}
          </dd>
          <dt>{t.start}</dt>
          <dd>
            {time(span.start_us)}
            <small>{t.startOffset(duration(Math.max(0, began(node, false) - from_us)))}</small>
            {node.skew_us && (
              <small class="warn-text">{t.skewOf(duration(Math.abs(node.skew_us)), node.skew_us > 0)}</small>
            )}
          </dd>
          <dt>{t.service}</dt>
          <dd>{span.service}</dd>
          <dt>{t.kind}</dt>
          <dd>{span.kind}</dd>
          {span.error && (
            <>
              <dt>{t.error}</dt>
              <dd class="bad-text">{span.error}</dd>
            </>
          )}
        </dl>
        {sql && <Statement sql={sql} />}
        {logs.length > 0 && (
          <>
            <h4>{t.logLines}</h4>
            <LogList lines={logs} from_us={from_us} />
          </>
        )}
        {events.length > 0 && (
          <>
            <h4>{t.events}</h4>
            <ul class="lines">
              {events.map((event, index) => (
                <Event key={index} event={event} from_us={from_us} />
              ))}
            </ul>
          </>
        )}
        <Links span={span} linkedFrom={linkedFrom} />
        <h4>{t.attributes}</h4>
        {attributes.length === 0 ? <p class="dim">{t.noAttributes}</p> : <AttributeList entries={attributes} />}
        {(span.dropped ?? 0) > 0 && <p class="hint">{t.leftOut(String(span.dropped))}</p>}
      </div>
    </Panel>
  );
}

/** An exception is read line by line, so its stack keeps them. */
function Event({ event, from_us }: { event: SpanEvent; from_us: number }) {
  const { "exception.stacktrace": stack, ...others } = event.attributes ?? {};
  return (
    <li>
      <time>+{duration(Math.max(0, event.time_us - from_us))}</time>
      <strong>{event.name}</strong>
      <Fields fields={others} />
      {typeof stack === "string" && (
        <pre class="stack" tabIndex={0}>
          {stack}
        </pre>
      )}
    </li>
  );
}

function AttributeList({ entries }: { entries: [string, unknown][] }) {
  return (
    <dl class="pairs pairs-mono">
      {entries.map(([name, value]) => (
        <>
          <dt>{name}</dt>
          <dd>{valueText(value)}</dd>
        </>
      ))}
    </dl>
  );
}

export function Fields({ fields }: { fields: Attributes | undefined }) {
  const entries = Object.entries(fields ?? {});
  if (entries.length === 0) return null;
  return <code class="fields">{entries.map(([name, value]) => `${name}=${valueText(value)}`).join(" ")}</code>;
}

export function LogList({ lines, from_us }: { lines: LogLine[]; from_us: number }) {
  return (
    <ul class="lines">
      {lines.map((line, index) => (
        <li key={index}>
          <time>+{duration(Math.max(0, line.time_us - from_us))}</time>
          <span class={`level level-${line.level}`}>{line.level}</span>
          <span class="line-text">{line.message}</span>
          <Fields fields={line.fields} />
          <small>{line.target}</small>
        </li>
      ))}
    </ul>
  );
}

function Statement({ sql }: { sql: string }) {
  const t = useText();
  return (
    <div class="statement">
      <header>
        <h4>{t.statement}</h4>
        <Copy label={t.copy} text={() => sql} />
      </header>
      <pre tabIndex={0}>
        <code>{formatSql(sql)}</code>
      </pre>
    </div>
  );
}
