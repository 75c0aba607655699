import type { ComponentChildren } from "preact";

import type { ApiError } from "../api/client";
import { type Loaded, useStatus } from "../api/hooks";
import { useText } from "../i18n";

export function Panel(props: { title: string; side?: ComponentChildren; class?: string; children: ComponentChildren }) {
  return (
    <section class={`panel ${props.class ?? ""}`}>
      <header class="panel-head">
        <h2>{props.title}</h2>
        {props.side && <div class="panel-side">{props.side}</div>}
      </header>
      {props.children}
    </section>
  );
}

export function Loading() {
  const t = useText();
  return (
    <p class="note" role="status">
      {t.loading}
    </p>
  );
}

export function Failure({ error, retry }: { error: ApiError; retry?: () => void }) {
  const t = useText();
  return (
    <div class="note note-bad" role="alert">
      <p>{error.status === 0 ? t.noAnswer : t.failed(error.status, error.detail)}</p>
      {retry && (
        <button type="button" onClick={retry}>
          {t.retry}
        </button>
      )}
    </div>
  );
}

/** What was asked for once it is there; until then that it is on its way, or why it does not come. */
export function Answer<T>({ of, children }: { of: Loaded<T>; children: (data: T) => ComponentChildren }) {
  if (of.error) return <Failure error={of.error} retry={of.reload} />;
  return of.data ? <>{children(of.data)}</> : <Loading />;
}

/** An address as this browser reaches it: one that listens everywhere is where the console is. */
export function reachable(address: string): string {
  return address.replace(/^(0\.0\.0\.0|\[::\])(?=:)/, location.hostname);
}

/** Nothing was recorded yet: says where to send something. */
export function NoRequests() {
  const t = useText();
  const addresses = useStatus()?.facts?.addresses;
  return (
    <div class="empty">
      <strong>{t.noRequestsYet}</strong>
      {addresses && (
        <p>
          {t.sendOne} <code>curl http://{reachable(addresses.http)}/</code>
          {addresses.otlp && (
            <>
              <br />
              {t.otlpHint} <code>http://{reachable(addresses.otlp)}/v1/traces</code>
            </>
          )}
        </p>
      )}
    </div>
  );
}

/** A status code; failures carry a mark besides the colour. */
export function StatusBadge({ status, failed }: { status: number; failed: boolean }) {
  const t = useText();
  const kind = failed ? "bad" : status >= 400 ? "warn" : "ok";
  return (
    <span class={`badge badge-${kind}`} title={failed ? t.failure : t.success}>
      {failed ? "✕ " : ""}
      {status || "–"}
    </span>
  );
}

interface Choice<T extends string> {
  value: T;
  text: string;
}

/** A row of buttons of which one is chosen. */
export function Segments<T extends string>(props: {
  label: string;
  value: T;
  choices: Choice<T>[];
  choose: (value: T) => void;
}) {
  return (
    <div class="segments" role="group" aria-label={props.label}>
      {props.choices.map((choice) => (
        <button
          key={choice.value}
          type="button"
          aria-pressed={choice.value === props.value}
          onClick={() => props.choose(choice.value)}
        >
          {choice.text}
        </button>
      ))}
    </div>
  );
}

const WINDOWS = [5, 15, 60, 360, 1440, 4320, 10_080];

/** The window as `last_s`. */
export function WindowSelect({ seconds, choose }: { seconds: number; choose: (seconds: number) => void }) {
  const t = useText();
  const minutes = WINDOWS.includes(seconds / 60) ? WINDOWS : [...WINDOWS, seconds / 60].sort((a, b) => a - b);
  return (
    <label class="field">
      <span>{t.window}</span>
      <select value={seconds} onChange={(event) => choose(Number(event.currentTarget.value))}>
        {minutes.map((size) => (
          <option key={size} value={size * 60} selected={size * 60 === seconds}>
            {t.lastMinutes(size)}
          </option>
        ))}
      </select>
    </label>
  );
}

export function readWindow(query: URLSearchParams, usual = 300): number {
  const seconds = Number(query.get("last_s"));
  return Number.isSafeInteger(seconds) && seconds > 0 ? seconds : usual;
}

/** Pages by cursor: the browser's back button is the way to the page before. */
export function Pager(props: { paged: boolean; next: string | null; go: (cursor: string | null) => void }) {
  const t = useText();
  const { paged, next, go } = props;
  if (!paged && next === null) return null;
  return (
    <nav class="pager">
      {paged && (
        <button type="button" onClick={() => go(null)}>
          {t.first}
        </button>
      )}
      {next !== null && (
        <button type="button" onClick={() => go(next)}>
          {t.next}
        </button>
      )}
    </nav>
  );
}

/** A text in which what stands between backticks is code. */
export function Coded({ text }: { text: string }) {
  return <>{text.split("`").map((part, index) => (index % 2 ? <code key={index}>{part}</code> : part))}</>;
}

/** The heads of a table's columns; an empty one is that of buttons. */
export function Heads({ texts }: { texts: string[] }) {
  return (
    <thead>
      <tr>
        {texts.map((text) => (
          <th key={text} scope="col">
            {text}
          </th>
        ))}
      </tr>
    </thead>
  );
}
