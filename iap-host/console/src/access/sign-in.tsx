import { useRef, useState } from "preact/hooks";

import { type ApiError, asApiError } from "../api/client";
import { useText } from "../i18n";
import { Coded, Failure } from "../ui/parts";
import { signIn, useAccess } from "./store";

/** A name and a password. */
export function SignIn() {
  const t = useText();
  const { access } = useAccess();
  const name = useRef<HTMLInputElement>(null);
  const password = useRef<HTMLInputElement>(null);
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setFailure(null);
    try {
      await signIn(name.current?.value ?? "", password.current?.value ?? "");
    } catch (error) {
      setFailure(asApiError(error));
      if (password.current) password.current.value = "";
      password.current?.focus();
    }
    setBusy(false);
  };
  if (access && !access.passwords) return (
      <p class="note">
        <Coded text={t.noPasswords} />
      </p>
    );
  return (
    <form class="panel sign-in" onSubmit={(event) => void submit(event)}>
      <label class="field">
        <span>{t.signInName}</span>
        <input ref={name} name="username" autocomplete="username" autocapitalize="none" spellcheck={false} required autofocus maxLength={64} />
      </label>
      <label class="field">
        <span>{t.password}</span>
        <input ref={password} name="password" type="password" autocomplete="current-password" required maxLength={1024} />
      </label>
      <button type="submit" class="primary" disabled={busy} aria-busy={busy}>
        {t.signIn}
      </button>
      {failure && <Wrong error={failure} />}
      <p class="dim">
        <Coded text={t.signInHint} />
      </p>
    </form>
  );
}

function Wrong({ error }: { error: ApiError }) {
  const t = useText();
  if (error.status !== 401 && error.status !== 429) return <Failure error={error} />;
  return (
    <p class="note note-bad" role="alert">
      {error.status === 401 ? t.wrongLogin : t.waitLogin}
    </p>
  );
}
