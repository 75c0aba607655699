import type { ComponentChildren } from "preact";
import { useRef, useState } from "preact/hooks";

import { type ApiError, asApiError, post } from "../api/client";
import type { Revoked } from "../api/types";
import { number } from "../format";
import { useText } from "../i18n";
import { Failure } from "../ui/parts";
import type { Conditions } from "./filters";

/** Which sessions: some by their keys, or all that a filter means. */
export type Meant = { keys: string[] } | { filter: Conditions };

const NONE: Revoked = { looked_at: 0, matched: 0, ended: 0, failed: 0, next: null };

/** Goes on until all sessions were looked at; tells how far it is. */
async function revoke(meant: Meant, more: Record<string, unknown>, told: (sum: Revoked) => void): Promise<Revoked> {
  let sum = NONE;
  let cursor: string | null = null;
  do {
    const step: Revoked = await post<Revoked>("/api/sessions/revoke", { ...meant, ...more, cursor });
    sum = {
      looked_at: sum.looked_at + step.looked_at,
      matched: sum.matched + step.matched,
      ended: sum.ended + step.ended,
      failed: sum.failed + step.failed,
      next: step.next,
    };
    told(sum);
    cursor = step.next;
  } while (cursor !== null);
  return sum;
}

/** A button that ends sessions: it counts them first, then asks, and for the reason. */
export function EndMany(props: { meant: Meant; disabled: boolean; done: () => void; children: ComponentChildren }) {
  const t = useText();
  const dialog = useRef<HTMLDialogElement>(null);
  const reason = useRef<HTMLInputElement>(null);
  const [counted, setCounted] = useState<Revoked | null>(null);
  const [progress, setProgress] = useState<Revoked | null>(null);
  const [step, setStep] = useState<"counting" | "asking" | "ending" | "over">("counting");
  const [failure, setFailure] = useState<ApiError | null>(null);
  const attempt = async (work: () => Promise<void>) => {
    setFailure(null);
    try {
      await work();
    } catch (error) {
      setFailure(asApiError(error));
      setStep("over");
    }
  };
  const open = () => {
    setStep("counting");
    setCounted(null);
    setProgress(null);
    dialog.current?.showModal();
    void attempt(async () => {
      setCounted(await revoke(props.meant, { dry_run: true }, setCounted));
      setStep("asking");
      reason.current?.focus();
    });
  };
  const end = () => {
    setStep("ending");
    void attempt(async () => {
      const more = { dry_run: false, reason: reason.current?.value.trim() || undefined };
      setProgress(await revoke(props.meant, more, setProgress));
      setStep("over");
    });
  };
  const close = () => dialog.current?.close();
  return (
    <>
      <button type="button" class="danger" disabled={props.disabled} onClick={open}>
        {props.children}
      </button>
      <dialog ref={dialog} aria-labelledby="end-many-title" onClose={() => progress && props.done()}>
        <h2 id="end-many-title">{t.endMany}</h2>
        <div role="status">
          {progress ? (
            <p>{step === "over" ? t.endDone(number(progress.ended)) : t.endProgress(number(progress.ended), number(progress.failed))}</p>
          ) : (
            <p>
              {step === "counting" && `${t.endCounting} `}
              {counted && t.endCount(number(counted.matched))}
            </p>
          )}
          {step === "over" && progress !== null && progress.failed > 0 && (
            <p class="bad-text">{t.endSome(number(progress.failed))}</p>
          )}
        </div>
        {step === "asking" && <Reason field={reason} />}
        {failure && <Failure error={failure} />}
        <div class="dialog-buttons">
          <button type="button" onClick={close}>
            {step === "over" ? t.close : t.cancel}
          </button>
          {step !== "over" && (
            <button
              type="button"
              class="danger"
              disabled={step !== "asking" || counted?.matched === 0}
              onClick={end}
            >
              {t.endNow}
            </button>
          )}
        </div>
      </dialog>
    </>
  );
}

export function Reason({ field }: { field: { current: HTMLInputElement | null } }) {
  const t = useText();
  return (
    <label class="field reason">
      <span>{t.endReason}</span>
      <input ref={field} name="reason" maxLength={80} autoComplete="off" placeholder={t.endReasonHint} />
    </label>
  );
}
