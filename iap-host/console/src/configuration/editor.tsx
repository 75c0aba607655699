import { useRef, useState } from "preact/hooks";

import { useText } from "../i18n";
import { Coded } from "../ui/parts";
import { helpOf, pathAt, type Schema } from "./place";
import type { Wrong } from "./types";

interface Props {
  text: string;
  edit: ((text: string) => void) | null;
  errors: Wrong[];
  schema: Schema | null;
}

/** A text with line numbers, what is wrong with it, and what the setting at the cursor is for. */
export function Editor({ text, edit, errors, schema }: Props) {
  const t = useText();
  const area = useRef<HTMLTextAreaElement>(null);
  const gutter = useRef<HTMLDivElement>(null);
  const [cursor, setCursor] = useState(0);
  const wrong = new Set(errors.map((error) => error.line));
  const lines = text.split("\n").length;
  const path = pathAt(text, cursor);
  const help = schema && helpOf(schema, path);
  const moved = () => setCursor(area.current?.selectionStart ?? 0);
  const visit = (error: Wrong) => {
    const target = area.current;
    if (!target || error.line === null) return;
    const before = text.split("\n").slice(0, error.line - 1);
    const at = before.reduce((all, line) => all + line.length + 1, 0) + (error.column ?? 1) - 1;
    target.focus();
    target.setSelectionRange(at, at);
    target.scrollTop = (target.scrollHeight / Math.max(lines, 1)) * Math.max(error.line - 6, 0);
    setCursor(at);
  };
  return (
    <>
      <div class="editor">
        <div class="editor-lines" ref={gutter} aria-hidden="true">
          {Array.from({ length: lines }, (_, index) => (
            <div key={index} class={wrong.has(index + 1) ? "bad-text" : ""}>
              {index + 1}
            </div>
          ))}
        </div>
        <textarea
          ref={area}
          aria-label={t.configText}
          value={text}
          readOnly={edit === null}
          spellcheck={false}
          autocapitalize="off"
          autocomplete="off"
          wrap="off"
          onInput={(event) => {
            edit?.(event.currentTarget.value);
            moved();
          }}
          onKeyUp={moved}
          onClick={moved}
          onScroll={(event) => {
            if (gutter.current) gutter.current.scrollTop = event.currentTarget.scrollTop;
          }}
        />
      </div>
      {errors.length > 0 && (
        <ul class="config-errors" role="alert">
          {errors.map((error) => (
            <li key={`${error.line}:${error.column}:${error.message}`}>
              {error.line !== null && (
                <button type="button" class="link" onClick={() => visit(error)}>
                  {t.lineColumn(error.line, error.column ?? 1)}
                </button>
              )}{" "}
              {error.message}
            </li>
          ))}
        </ul>
      )}
      {help && (help.description || help.values.length > 0) && (
        <p class="config-help">
          <code>{path.join(".").replace(/\.\*/g, "[]")}</code> <Coded text={help.description} />
          {help.values.length > 0 && <span class="dim"> ({help.values.join(", ")})</span>}
        </p>
      )}
    </>
  );
}
