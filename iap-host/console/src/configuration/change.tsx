import { useEffect, useRef, useState } from "preact/hooks";

import { useMay } from "../access/store";
import { type ApiError, asApiError, post } from "../api/client";
import { useGet } from "../api/hooks";
import { useText } from "../i18n";
import { Failure, Panel } from "../ui/parts";
import { Changes, Diff, Others } from "./diff";
import { Editor } from "./editor";
import type { Schema } from "./place";
import type { Plan, Running } from "./types";

/** How long nobody types before a text is checked. */
const QUIET_MS = 350;

/** The text of what runs, and for those who may the way to another one. */
export function TextPanel({ running, changed }: { running: Running; changed: () => void }) {
  const t = useText();
  const administers = useMay("administer");
  const { data: schema } = useGet<Schema>("/api/config/schema");
  const [draft, setDraft] = useState<{ text: string; etag: string } | null>(null);
  const [plan, setPlan] = useState<Plan | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const [reviewing, setReviewing] = useState(false);
  const text = draft?.text ?? running.text;
  useEffect(() => {
    setPlan(null);
    setReviewing(false);
    if (draft === null) return;
    let gone = false;
    const timer = setTimeout(() => {
      post<Plan>("/api/config/validate", { text: draft.text }).then(
        (judged) => {
          if (gone) return;
          setPlan(judged);
          setFailure(null);
        },
        (error: unknown) => gone || setFailure(asApiError(error)),
      );
    }, QUIET_MS);
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [draft?.text]);
  const edit = (next: string) => setDraft(next === running.text ? null : { text: next, etag: draft?.etag ?? running.etag });
  const drop = () => {
    setDraft(null);
    setFailure(null);
  };
  return (
    <Panel title={t.configText} side={draft === null ? null : plan === null ? t.checking : plan.valid ? t.isValid : t.isNotValid}>
      <Editor text={text} edit={administers && !running.trial ? edit : null} errors={plan?.errors ?? []} schema={schema} />
      {!administers && <p class="note">{t.onlyAdmins}</p>}
      {draft !== null && draft.etag !== running.etag && <p class="note bad-text">{t.changedMeanwhile}</p>}
      {draft !== null && (
        <div class="filters config-actions">
          <button type="button" class="primary" disabled={!plan?.valid || reviewing} onClick={() => setReviewing(true)}>
            {t.review}
          </button>
          <button type="button" onClick={drop}>
            {t.discard}
          </button>
        </div>
      )}
      {failure && <Failure error={failure} />}
      {draft !== null && reviewing && plan?.valid && (
        <Review
          plan={plan}
          running={running}
          draft={draft}
          done={() => {
            drop();
            changed();
          }}
        />
      )}
    </Panel>
  );
}

interface ReviewProps {
  plan: Plan;
  running: Running;
  draft: { text: string; etag: string };
  done: () => void;
}

/** What would change, and the question why. */
function Review({ plan, running, draft, done }: ReviewProps) {
  const t = useText();
  const reason = useRef<HTMLInputElement>(null);
  const [overwrite, setOverwrite] = useState(false);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const apply = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setFailure(null);
    try {
      await post("/api/config", { text: draft.text, reason: reason.current?.value ?? "", overwrite }, { "if-match": draft.etag });
      done();
    } catch (error) {
      setFailure(asApiError(error));
    }
    setBusy(false);
  };
  return (
    <section class="config-review" aria-label={t.whatChanges}>
      <h3>{t.whatChanges}</h3>
      {plan.changes?.length === 0 ? <p class="dim">{t.onlyWords}</p> : <Changes changes={plan.changes ?? []} />}
      <Others plan={plan} />
      <Diff text={plan.diff ?? ""} />
      {plan.needs_hand_over ? (
        <p class="note bad-text">{t.needsHandOver(plan.needs_hand_over)}</p>
      ) : (
        <form class="filters config-actions" onSubmit={(event) => void apply(event)}>
          <label class="field">
            <span>{t.configReason}</span>
            <input ref={reason} required maxLength={500} />
          </label>
          {running.drift && (
            <label class="check">
              <input type="checkbox" checked={overwrite} onChange={(event) => setOverwrite(event.currentTarget.checked)} /> {t.overwriteFile}
            </label>
          )}
          <button type="submit" class="primary" disabled={busy}>
            {t.applyConfig}
          </button>
        </form>
      )}
      {failure && <Failure error={failure} />}
    </section>
  );
}
