import type { TargetedSubmitEvent } from "preact";
import { useEffect } from "preact/hooks";

import { queryString } from "../api/client";
import type { Answer } from "../api/types";
import { useText } from "../i18n";
import { Link, navigate, useLocation } from "../router";
import { Failure, Panel } from "../ui/parts";
import { useAnswer } from "./answer";
import { begin, conversation, keep, useTurns } from "./conversation";
import { FactLine, FactRows } from "./facts";
import { Preview } from "./preview";
import { Progress, Runbooks, Wording } from "./help";

const EXAMPLES = ["지금 문제의 원인을 알려줘", "what is wrong right now?"];
const TRACE_ID = /\b[0-9a-f]{32}\b/;

/** The question stands in the address, so that an answer can be passed on as a link. */
export function Ask() {
  const t = useText();
  const question = useLocation().query.get("q") ?? "";
  const path = question ? `/api/ask${queryString({ q: question, conversation: conversation() })}` : null;
  const { data, error, loading, steps, reload } = useAnswer(path);
  const put = (text: string) => (text === question ? reload() : navigate(`/ask${queryString({ q: text })}`));
  const submit = (event: TargetedSubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const text = String(new FormData(event.currentTarget).get("q") ?? "").trim();
    if (text) put(text);
  };
  useEffect(() => {
    if (question && data && !loading) keep(question, data);
  }, [data]);
  return (
    <div class="ask">
      <p class="dim">{t.askIntro}</p>
      <form class="ask-form" onSubmit={submit} key={question}>
        <input name="q" aria-label={t.question} placeholder={t.question} defaultValue={question} maxLength={300} autoComplete="off" />
        <button type="submit" class="primary">
          {t.ask}
        </button>
      </form>
      <Suggestions title={t.examples} texts={[...EXAMPLES, ...t.askExamples]} put={put} />
      {question && (
        <div aria-live="polite" aria-busy={loading}>
          {loading ? (
            <Progress steps={steps} />
          ) : error ? (
            <Failure error={error} retry={reload} />
          ) : (
            data && <AnswerView answer={data} put={put} />
          )}
        </div>
      )}
      <Before put={put} />
    </div>
  );
}

function Suggestions({ title, texts, put }: { title: string; texts: string[]; put: (text: string) => void }) {
  return (
    <div class="examples" role="group" aria-label={title}>
      <span>{title}</span>
      {texts.map((text) => (
        <button key={text} type="button" onClick={() => put(text)}>
          {text}
        </button>
      ))}
    </div>
  );
}

/** What was asked before, the latest first. */
function Before({ put }: { put: (text: string) => void }) {
  const t = useText();
  const turns = useTurns().slice(0, -1).reverse();
  if (turns.length === 0) return null;
  const anew = () => {
    begin();
    navigate("/ask");
  };
  return (
    <Panel
      title={t.askedBefore}
      side={
        <button type="button" onClick={anew}>
          {t.newConversation}
        </button>
      }
    >
      <ol class="turns">
        {turns.map((turn, index) => (
          <li key={index}>
            <details>
              <summary>{turn.question}</summary>
              <pre>{turn.text}</pre>
              <button type="button" onClick={() => put(turn.question)}>
                {t.askAgain}
              </button>
            </details>
          </li>
        ))}
      </ol>
    </Panel>
  );
}

function AnswerView({ answer, put }: { answer: Answer; put: (text: string) => void }) {
  const t = useText();
  const { facts, outcome, window } = answer;
  const known = outcome in t.outcome ? t.outcome[outcome as keyof typeof t.outcome] : outcome;
  const kind = outcome === "problems" ? "bad" : outcome === "healthy" || outcome === "answered" ? "ok" : "warn";
  const worded = answer.wording === "model";
  // Tables, and passages of runbooks, are shown as such.
  const text = answer.text.split("\n").slice(facts && window ? 1 : 0, answer.runbooks.length > 0 ? -1 : undefined);
  const lines = !worded && facts?.sentences.length ? facts.sentences.map((sentence) => sentence.text) : text;
  return (
    <>
      <Panel title={t.answer} side={<span class={`badge badge-${kind}`}>{known}</span>}>
        <div class="answer" lang={answer.question.language === "korean" ? "ko" : "en"}>
          {facts && window && (
            <p class="dim">
              {window.start} – {window.end} ({window.tz})
            </p>
          )}
          {lines.map((line, index) => (
            <p key={index}>
              <Linked text={line} evidence={answer.evidence} />
            </p>
          ))}
          {!worded && facts?.advice.map((advice, index) => (
            <div key={index} class="advice">
              <p>
                <Linked text={advice.text} evidence={answer.evidence} />
              </p>
              <Preview advice={advice} />
            </div>
          ))}
          <Wording answer={answer} />
        </div>
        <Suggestions title={t.askNext} texts={answer.suggestions} put={put} />
      </Panel>
      <Runbooks answer={answer} />
      {facts?.charts.map((chart, index) => <FactLine key={`${chart.name} ${index}`} chart={chart} group="answer" />)}
      {facts?.tables.map((table) => <FactRows key={table.name} table={table} />)}
      {!facts && answer.evidence.length > 0 && (
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
