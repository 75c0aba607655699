import { useRef, useState } from "preact/hooks";

import { type ApiError, asApiError } from "../api/client";
import { useText } from "../i18n";
import { navigate, useLocation } from "../router";
import { Coded, Failure } from "../ui/parts";
import { type Provider, signIn, signInElsewhere, useAccess } from "./store";

/** Where those come back to who were not let in, and why they were not. */
const FAILED = "/sign-in/";

/** The ways in: at a provider, and by a name and a password. */
export function SignIn() {
  const t = useText();
  const { access } = useAccess();
  const { path } = useLocation();
  const failed = path.startsWith(FAILED) ? path.slice(FAILED.length) : null;
  if (access && !access.passwords && !access.oidc) return (
      <p class="note">
        <Coded text={t.noPasswords} />
      </p>
    );
  return (
    <>
      {failed && <NotLetIn failure={failed} provider={access?.oidc ?? null} />}
      {access?.oidc && <Elsewhere provider={access.oidc} anew={failed !== null} />}
      {access?.oidc && access.passwords && <p class="dim sign-in-or">{t.orLocal}</p>}
      {access?.passwords && <ByPassword alone={!access.oidc} />}
    </>
  );
}

/** A button that leads to the provider. */
function Elsewhere({ provider, anew }: { provider: Provider; anew: boolean }) {
  const t = useText();
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const leave = async () => {
    setBusy(true);
    setFailure(null);
    try {
      await signInElsewhere(anew);
    } catch (error) {
      setFailure(asApiError(error));
      setBusy(false);
    }
  };
  return (
    <div class="panel sign-in">
      <button type="button" class="primary" disabled={busy} aria-busy={busy} onClick={() => void leave()}>
        {provider.label ?? t.signInElsewhere}
      </button>
      {failure && (failure.status === 503 ? <Bad text={t.notLetIn.unavailable ?? ""} /> : <Failure error={failure} />)}
    </div>
  );
}

/** Why the provider's word was not enough. */
function NotLetIn({ failure, provider }: { failure: string; provider: Provider | null }) {
  const t = useText();
  const text = t.notLetIn[failure] ?? t.notLetIn.refused ?? "";
  const claim = failure === "no_name" ? provider?.name_claim : failure === "no_role" ? provider?.roles_claim : undefined;
  return (
    <div class="sign-in-failed">
      <Bad text={claim ? `${text} ${t.claimLookedAt(claim)}` : text} />
    </div>
  );
}

function Bad({ text }: { text: string }) {
  return (
    <p class="note note-bad" role="alert">
      <span>
        <Coded text={text} />
      </span>
    </p>
  );
}

/** A name and a password: the one way in, or the other one. */
function ByPassword({ alone }: { alone: boolean }) {
  const t = useText();
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
      if (location.pathname.startsWith(FAILED)) navigate("/", true);
    } catch (error) {
      setFailure(asApiError(error));
      if (password.current) password.current.value = "";
      password.current?.focus();
    }
    setBusy(false);
  };
  return (
    <form class="panel sign-in" onSubmit={(event) => void submit(event)}>
      <label class="field">
        <span>{t.signInName}</span>
        <input ref={name} name="username" autocomplete="username" autocapitalize="none" spellcheck={false} required autofocus={alone} maxLength={64} />
      </label>
      <label class="field">
        <span>{t.password}</span>
        <input ref={password} name="password" type="password" autocomplete="current-password" required maxLength={1024} />
      </label>
      <button type="submit" class={alone ? "primary" : undefined} disabled={busy} aria-busy={busy}>
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
  return <Bad text={error.status === 401 ? t.wrongLogin : t.waitLogin} />;
}
