import type { Answer, AskStep } from "../api/types";
import { useText } from "../i18n";
import { Link } from "../router";
import { Panel } from "../ui/parts";

/** What is being done for an answer. */
export function Progress({ steps }: { steps: AskStep[] }) {
  const t = useText();
  const last = steps.at(-1);
  return (
    <p class="note ask-progress" role="status">
      {last ? t.askStep(last) : t.thinking}
    </p>
  );
}

/** Whose words an answer has. */
export function Wording({ answer }: { answer: Answer }) {
  const t = useText();
  const why = answer.wording_reason;
  const quiet = why === null || why === "nothing_to_word";
  if (answer.wording !== "model" && answer.understood !== "model" && quiet) return null;
  return (
    <p class="dim ask-wording">
      {answer.understood === "model" && <span>{t.understoodByModel}</span>}
      {answer.wording === "model" ? <span>{t.wordedByModel(answer.model ?? "")}</span> : !quiet && <span>{t.wordedByTemplate(why)}</span>}
    </p>
  );
}

/** Passages that are about the same. They are text from elsewhere, and shown as such. */
export function Runbooks({ answer }: { answer: Answer }) {
  const t = useText();
  if (answer.runbooks.length === 0) return null;
  return (
    <Panel title={t.runbooks}>
      <ul class="runbooks">
        {answer.runbooks.map((passage, index) => (
          <li key={index}>
            <p>
              {passage.origin === "incident" ? (
                <Link to={`/incidents/${passage.file.slice(1)}`}>
                  {t.pastIncident} {passage.file}
                </Link>
              ) : (
                <code>{passage.file}</code>
              )}{" "}
              <strong>{passage.heading}</strong>
            </p>
            <blockquote>{passage.excerpt}</blockquote>
          </li>
        ))}
      </ul>
    </Panel>
  );
}
