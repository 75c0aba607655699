import { useEffect, useRef, useState } from "preact/hooks";

import { type ApiError, asApiError, post, removeWith } from "../api/client";
import { useText } from "../i18n";
import { Failure } from "../ui/parts";
import { Diff } from "./diff";
import type { Plan, Running } from "./types";

/** What is to be done. */
export type Aim = { kind: "add" } | { kind: "clone" | "delete"; name: string };

interface Looked extends Plan {
  made?: { id: string };
  directories?: string[];
}

interface Done {
  cleared?: { removed: string[]; left: string[] };
}

/** Asks what it is to be and why, shows what would change, and does it. */
export function ChangeInstance({ aim, running, close }: { aim: Aim; running: Running; close: (done: boolean) => void }) {
  const t = useText();
  const dialog = useRef<HTMLDialogElement>(null);
  const [name, setName] = useState("");
  const [listen, setListen] = useState("");
  const [admin, setAdmin] = useState("");
  const [url, setUrl] = useState("");
  const [destroys, setDestroys] = useState(false);
  const [reason, setReason] = useState("");
  const [plan, setPlan] = useState<Looked | null>(null);
  const [left, setLeft] = useState<string[] | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => dialog.current?.showModal(), []);

  const send = <T,>(more: object): Promise<T> => {
    const fields = { "if-match": running.etag };
    if (aim.kind === "delete") {
      const body = { how: destroys ? "destroy" : "unregister", reason, ...more };
      return removeWith<T>(`/api/instances/${encodeURIComponent(aim.name)}`, body, fields);
    }
    const path = aim.kind === "clone" ? `/api/instances/${encodeURIComponent(aim.name)}/clone` : "/api/instances";
    const settings = { ...(listen && { server: { listen } }), ...(admin && { admin: { listen: admin } }) };
    return post<T>(path, { name, settings, url: url || null, reason, ...more }, fields);
  };
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setFailure(null);
    try {
      if (plan === null) {
        setPlan(await send<Looked>({ dry_run: true }));
      } else {
        const done = await send<Done>(plan.made ? { id: plan.made.id } : {});
        if (done.cleared?.left.length) setLeft(done.cleared.left);
        else close(true);
      }
    } catch (error) {
      setFailure(asApiError(error));
    }
    setBusy(false);
  };
  const title = aim.kind === "add" ? t.addInstance : aim.kind === "clone" ? t.cloneOf(aim.name) : t.deleteOf(aim.name);
  const asked = plan !== null;
  return (
    <dialog
      ref={dialog}
      class="act-on change-instance"
      aria-labelledby="change-instance-title"
      onCancel={(event) => {
        event.preventDefault();
        close(left !== null);
      }}
    >
      <h2 id="change-instance-title">{title}</h2>
      <form onSubmit={(event) => void submit(event)}>
        {aim.kind === "delete" ? (
          <label class="check">
            <input type="checkbox" checked={destroys} disabled={asked} onChange={(event) => setDestroys(event.currentTarget.checked)} />{" "}
            {t.alsoDestroy}
          </label>
        ) : (
          <>
            <Field label={t.instanceName} value={name} set={setName} disabled={asked} required pattern="[A-Za-z0-9_\-]{1,64}" />
            <Field label={t.instanceListen} value={listen} set={setListen} disabled={asked} required={aim.kind === "add"} hint="0.0.0.0:8080" />
            <Field label={t.instanceAdmin} value={admin} set={setAdmin} disabled={asked} required={aim.kind === "add"} hint="127.0.0.1:9900" />
            <Field label={t.instanceUrl} value={url} set={setUrl} disabled={asked} hint="http://10.0.0.7:9900" />
            {aim.kind === "clone" && <p class="dim">{t.chosenForIt}</p>}
          </>
        )}
        <Field label={t.configReason} value={reason} set={setReason} disabled={asked} required />
        {plan && (
          <div role="status">
            <strong>{t.whatChanges}</strong>
            <Diff text={plan.diff ?? ""} />
            {(plan.directories?.length ?? 0) > 0 && <p class="bad-text">{t.removesDirectories(plan.directories!.join(", "))}</p>}
          </div>
        )}
        {left && <p class="bad-text">{t.notRemoved(left.join("; "))}</p>}
        {failure && <Failure error={failure} />}
        <div class="dialog-buttons">
          <button type="button" disabled={busy} onClick={() => (asked && !left ? (setPlan(null), setFailure(null)) : close(left !== null))}>
            {left ? t.close : asked ? t.changeAsked : t.cancel}
          </button>
          {!left && (
            <button type="submit" class={!asked ? "" : aim.kind === "delete" ? "danger" : "primary"} disabled={busy}>
              {!asked ? t.review : aim.kind === "delete" ? t.deleteInstance : t.applyConfig}
            </button>
          )}
        </div>
      </form>
    </dialog>
  );
}

interface FieldProps {
  label: string;
  value: string;
  set: (value: string) => void;
  disabled: boolean;
  required?: boolean;
  pattern?: string;
  hint?: string;
}

function Field({ label, value, set, disabled, required, pattern, hint }: FieldProps) {
  return (
    <label class="field">
      <span>{label}</span>
      <input
        required={required}
        maxLength={500}
        pattern={pattern}
        placeholder={hint}
        value={value}
        disabled={disabled}
        onInput={(event) => set(event.currentTarget.value)}
      />
    </label>
  );
}
