import { useText } from "../i18n";
import type { Change, Plan } from "./types";

const kind = (line: string): string => {
  if (line.startsWith("@@") || line.startsWith("---") || line.startsWith("+++")) return "diff-place";
  if (line.startsWith("+")) return "diff-new";
  return line.startsWith("-") ? "diff-old" : "";
};

/** A unified diff. */
export function Diff({ text }: { text: string }) {
  const t = useText();
  if (!text) return <p class="note">{t.nothingDiffers}</p>;
  return (
    <pre class="diff" tabIndex={0}>
      {text.trimEnd().split("\n").map((line, index) => (
        <div key={index} class={kind(line)}>
          {line || " "}
        </div>
      ))}
    </pre>
  );
}

/** Settings that differ, by name. */
export function Changes({ changes }: { changes: Change[] }) {
  const t = useText();
  return (
    <ul class="config-changes">
      {changes.map((change) => (
        <li key={change.path}>
          <span class="dim">{t.changeKinds[change.kind]}</span> <code>{change.path}</code>
        </li>
      ))}
    </ul>
  );
}

/** Other instances of the file that a change is about as well. */
export function Others({ plan }: { plan: Plan }) {
  const t = useText();
  if (!plan.instances?.length) return null;
  return (
    <ul class="config-changes" aria-label={t.otherInstances}>
      {plan.instances.map((other) => (
        <li key={other.name}>
          {other.kind === "changed" ? t.alsoChanges(other.name, other.changes.map((change) => change.path).slice(0, 5).join(", ")) : (
            <>
              <span class="dim">{t.changeKinds[other.kind]}</span> {t.instanceNamed(other.name)}
            </>
          )}
        </li>
      ))}
    </ul>
  );
}
