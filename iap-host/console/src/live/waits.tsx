import { useState } from "preact/hooks";

import { type ApiError, asApiError, get } from "../api/client";
import type { Active, AwaitView } from "../api/types";
import { useText } from "../i18n";
import { Failure } from "../ui/parts";

interface Asked {
  request: Active;
  view: AwaitView | null;
  error: ApiError | null;
}

/** Asks where the tasks of a request wait. */
export function useWaits(): { asked: Asked | null; ask: (request: Active) => void } {
  const [asked, setAsked] = useState<Asked | null>(null);
  const ask = (request: Active) => {
    setAsked({ request, view: null, error: null });
    get<AwaitView>(`/api/requests/active/${request.trace_id}/${request.span_id}/await`).then(
      (view) => setAsked({ request, view, error: null }),
      (error: unknown) => {
        const known = asApiError(error);
        setAsked({ request, view: null, error: known });
      },
    );
  };
  return { asked, ask };
}

/** A function, where it waits first: names of generic code are long. */
function Frame({ text }: { text: string }) {
  const at = text.lastIndexOf(" at ");
  const [name, place] = at < 0 ? [text, null] : [text.slice(0, at), text.slice(at + 4)];
  return (
    <li title={text}>
      {place && <code>{place}</code>} <code class="dim">{name}</code>
    </li>
  );
}

/** The answer: the line that waits, and the functions that led to it. */
export function Waits({ asked }: { asked: Asked }) {
  const t = useText();
  const { request, view, error } = asked;
  const title = t.waitsOf(`${request.method} ${request.path}`);
  return (
    <section class="task-waits" aria-live="polite" aria-label={title}>
      <h3>{title}</h3>
      {error && <Failure error={error} />}
      {!view && !error && <p class="note">{t.asking}</p>}
      {view?.awaited.map((one, at) => (
        <details key={at} open={at === 0}>
          <summary>{one.at ?? t.noSymbols}</summary>
          <ol>
            {one.frames.map((frame, depth) => (
              <Frame key={depth} text={frame} />
            ))}
          </ol>
        </details>
      ))}
      {view && view.busy > 0 && <p class="note">{t.tasksBusy(view.busy)}</p>}
      {view && view.ready > 0 && <p class="hint">{t.tasksReady(view.ready)}</p>}
    </section>
  );
}
