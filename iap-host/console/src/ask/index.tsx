import type { TargetedSubmitEvent } from "preact";

import { queryString } from "../api/client";
import { useGet } from "../api/hooks";
import type { Answer } from "../api/types";
import { useText } from "../i18n";
import { Link, navigate, useLocation } from "../router";
import { Failure, Panel } from "../ui/parts";

const EXAMPLES = ["지금 문제의 원인을 알려줘", "what is wrong right now?"];
const TRACE_ID = /\b[0-9a-f]{32}\b/;

/** The question stands in the address, so that an answer can be passed on as a link. */
export function Ask() {
  const t = useText();
  const question = useLocation().query.get("q") ?? "";
  const { data, error, loading, reload } = useGet<Answer>(question ? `/api/ask${queryString({ q: question })}` : null);
  const put = (text: string) => (text === question ? reload() : navigate(`/ask${queryString({ q: text })}`));
  const submit = (event: TargetedSubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const text = String(new FormData(event.currentTarget).get("q") ?? "").trim();
    if (text) put(text);
  };
  return (
    <div class="ask">
      <p class="dim">{t.askIntro}</p>
      <form class="ask-form" onSubmit={submit} key={question}>
        <input name="q" aria-label={t.question} placeholder={t.question} defaultValue={question} maxLength={500} autoComplete="off" />
        <button type="submit" class="primary">
          {t.ask}
        </button>
      </form>
      <div class="examples" role="group" aria-label={t.examples}>
        <span>{t.examples}</span>
        {EXAMPLES.map((example) => (
          <button key={example} type="button" onClick={() => put(example)}>
            {example}
          </button>
        ))}
      </div>
      {question && (
        <div aria-live="polite" aria-busy={loading}>
          {loading ? (
            <p class="note">{t.thinking}</p>
          ) : error ? (
            <Failure error={error} retry={reload} />
          ) : (
            data && <AnswerView answer={data} />
          )}
        </div>
      )}
    </div>
  );
}

function AnswerView({ answer }: { answer: Answer }) {
  const t = useText();
  const { outcome } = answer;
  const known = outcome in t.outcome ? t.outcome[outcome as keyof typeof t.outcome] : outcome;
  return (
    <>
      <Panel
        title={t.answer}
        side={<span class={`badge badge-${outcome === "problems" ? "bad" : outcome === "healthy" ? "ok" : "warn"}`}>{known}</span>}
      >
        <div class="answer" lang={answer.question.language === "korean" ? "ko" : "en"}>
          {answer.text.split("\n").map((line, index) => (
            <p key={index}>
              <Linked text={line} evidence={answer.evidence} />
            </p>
          ))}
        </div>
      </Panel>
      {answer.evidence.length > 0 && (
        <Panel title={t.evidence} side={t.evidenceHint}>
          <ul class="evidence">
            {answer.evidence.map((id) => (
              <li key={id}>
                <Link to={`/transactions/${id}`}>
                  <code>{id}</code>
                </Link>
              </li>
            ))}
          </ul>
        </Panel>
      )}
    </>
  );
}

/** Text with its trace ids as links, and what stands in back-quotes as code. */
function Linked({ text, evidence }: { text: string; evidence: string[] }) {
  return (
    <>
      {text.split(/(`[^`]+`|\b[0-9a-f]{32}\b)/).map((part, index) => {
        if (part.length > 2 && part.startsWith("`") && part.endsWith("`")) return <code key={index}>{part.slice(1, -1)}</code>;
        if (!TRACE_ID.test(part) || !evidence.includes(part)) return part;
        return (
          <Link key={index} to={`/transactions/${part}`} title={part}>
            <code>{part.slice(0, 8)}…</code>
          </Link>
        );
      })}
    </>
  );
}
