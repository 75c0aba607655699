import { useState } from "preact/hooks";

import { useMay } from "../access/store";
import { type ApiError, asApiError, post } from "../api/client";
import type { Jvm, JvmAnswer } from "../api/types";
import { useText } from "../i18n";
import { Failure } from "../ui/parts";

interface Asked {
  title: string;
  answer: JvmAnswer | null;
  error: ApiError | null;
}

/** The JVMs that are seen, and what they can be asked. */
export function Jvms({ jvms }: { jvms: Jvm[] }) {
  const t = useText();
  const [asked, setAsked] = useState<Asked | null>(null);
  const ask = (jvm: Jvm, what: string, title: string) => {
    const full = `${title} · ${jvm.name} ${jvm.pid}`;
    setAsked({ title: full, answer: null, error: null });
    post<JvmAnswer>(`/api/jvms/${jvm.pid}/${what}`, {}).then(
      (answer) => setAsked({ title: full, answer, error: null }),
      (error: unknown) => {
        const known = asApiError(error);
        setAsked({ title: full, answer: null, error: known });
      },
    );
  };
  const operates = useMay("operate");
  const busy = asked !== null && asked.answer === null && asked.error === null;
  return (
    <>
      <div class="scroll">
        <table class="cards-when-narrow">
          <thead>
            <tr>
              <th scope="col">{t.entryName}</th>
              <th scope="col">{t.pid}</th>
              <th scope="col">{t.jvmVersion}</th>
              <th scope="col">{t.now}</th>
            </tr>
          </thead>
          <tbody>
            {jvms.map((jvm) => (
              <tr key={jvm.pid}>
                <td data-label={t.entryName} class="main-cell">
                  {jvm.name}
                  {jvm.instance !== String(jvm.pid) && <span class="cell-note">{jvm.instance}</span>}
                </td>
                <td data-label={t.pid}>{jvm.pid}</td>
                <td data-label={t.jvmVersion}>{jvm.version}</td>
                <td data-label={t.now} class="jvm-questions">
                  <button type="button" disabled={busy || !operates} onClick={() => ask(jvm, "threads", t.threadDump)}>
                    {t.threadDump}
                  </button>
                  <button type="button" disabled={busy || !operates} onClick={() => ask(jvm, "histogram", t.classHistogram)}>
                    {t.classHistogram}
                  </button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="hint">{t.jvmStops}</p>
      {asked && (
        <section class="jvm-answer" aria-live="polite" aria-label={asked.title}>
          <h3>{asked.title}</h3>
          {asked.error && <Failure error={asked.error} />}
          {busy && <p class="note">{t.jvmAsking}</p>}
          {asked.answer && <pre tabIndex={0}>{asked.answer.text}</pre>}
          {asked.answer?.truncated && <p class="hint">{t.cutOff}</p>}
        </section>
      )}
    </>
  );
}
