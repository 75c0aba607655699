import { useEffect, useState } from "preact/hooks";

import { type ApiError, asApiError, get, onUnauthorized, post } from "../api/client";

export type Right = "view" | "detail" | "person" | "operate" | "administer";

export interface Caller {
  name: string;
  role: string;
  via: string;
  sign_in?: string;
  rights: Right[];
}

export interface Access {
  enabled: boolean;
  caller: Caller | null;
  passwords: boolean;
  oidc: Provider | null;
}

/** A provider that people sign in at. */
export interface Provider {
  label: string | null;
  roles_claim: string;
  name_claim: string;
}

interface Way {
  location: string;
}

interface State {
  access: Access | null;
  error: ApiError | null;
}

let state: State = { access: null, error: null };
const listeners = new Set<() => void>();

function set(next: State): void {
  state = next;
  listeners.forEach((listener) => listener());
}

/** Asks who this browser is. */
export async function readAccess(): Promise<void> {
  try {
    set({ access: await get<Access>("/api/access"), error: null });
  } catch (error) {
    set({ access: state.access, error: asApiError(error) });
  }
}

export async function signIn(name: string, password: string): Promise<void> {
  await post("/api/access/sign-in", { name, password });
  await readAccess();
}

/** Leads this browser to the provider. */
export async function signInElsewhere(anew: boolean): Promise<void> {
  const return_to = location.pathname + location.search;
  const way = await post<Way>("/api/access/oidc", { return_to, anew });
  location.assign(way.location);
}

export async function signOut(): Promise<void> {
  const way = await post<Way>("/api/access/sign-out", null).catch(() => undefined);
  // Signed in at the provider as well: signed out there.
  if (way?.location) location.assign(way.location);
  else await readAccess();
}

// The time of a sign-in ends while its page is open.
onUnauthorized(() => void readAccess());

/** Who this browser is; read again when that changes. */
export function useAccess(): State {
  const [known, setKnown] = useState(state);
  useEffect(() => {
    const listener = () => setKnown(state);
    listeners.add(listener);
    listener();
    return () => void listeners.delete(listener);
  }, []);
  return known;
}

/** Whether this browser's person may do something. What is shown hangs on it; what is done is judged by the host. */
export function useMay(right: Right): boolean {
  return useAccess().access?.caller?.rights.includes(right) ?? false;
}
