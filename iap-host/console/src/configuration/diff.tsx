import { useText } from "../i18n";
import type { Change } from "./types";

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
