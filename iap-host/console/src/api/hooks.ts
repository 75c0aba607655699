import { useCallback, useEffect, useRef, useState } from "preact/hooks";

import { type ApiError, asApiError, get } from "./client";
import type { Status } from "./types";

export interface Loaded<T> {
  data: T | null;
  error: ApiError | null;
  loading: boolean;
  reload: () => void;
}

/** Reads `path` whenever it changes. What was read before stays until the new answer is there. */
export function useGet<T>(path: string | null): Loaded<T> {
  const [turn, setTurn] = useState(0);
  const [state, setState] = useState<{ path: string | null; data: T | null; error: ApiError | null; loading: boolean }>({
    path,
    data: null,
    error: null,
    loading: path !== null,
  });
  useEffect(() => {
    if (path === null) return setState({ path, data: null, error: null, loading: false });
    const abort = new AbortController();
    setState((old) => ({ ...old, loading: true }));
    get<T>(path, abort.signal).then(
      (data) => setState({ path, data, error: null, loading: false }),
      (error: unknown) => {
        if (abort.signal.aborted) return;
        setState({ path, data: null, error: asApiError(error), loading: false });
      },
    );
    return () => abort.abort();
  }, [path, turn]);
  const reload = useCallback(() => setTurn((old) => old + 1), []);
  return { data: state.data, error: state.error, loading: state.loading || state.path !== path, reload };
}

/** Reads `path` again and again while the page is visible, and never twice at a time. What there is not, is not asked for again. */
export function usePolled<T>(path: string, every_ms: number): Loaded<T> {
  const loaded = useGet<T>(path);
  const { reload } = loaded;
  const busy = useRef(false);
  busy.current = loaded.loading || loaded.error?.status === 404;
  useEffect(() => {
    const timer = setInterval(() => document.hidden || busy.current || reload(), every_ms);
    return () => clearInterval(timer);
  }, [reload, every_ms]);
  return loaded;
}

/** The first and the last of the last few answers, and the seconds between them; null before there are two. */
export function useSpan<T>(data: T | null, most: number): { first: T; last: T; seconds: number } | null {
  const samples = useRef<{ at_ms: number; of: T }[]>([]);
  const kept = samples.current;
  if (data !== null && kept.at(-1)?.of !== data) {
    kept.push({ at_ms: performance.now(), of: data });
    if (kept.length > most) kept.shift();
  }
  const [first, last] = [kept[0], kept.at(-1)];
  if (!first || !last || first === last) return null;
  return { first: first.of, last: last.of, seconds: Math.max(0.001, (last.at_ms - first.at_ms) / 1000) };
}

let status: Promise<Status> | null = null;

/** What the platform says about itself; read once, again after a failure. */
export function useStatus(): Status | null {
  const [known, setKnown] = useState<Status | null>(null);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let gone = false;
    const read = () => {
      status ??= get<Status>("/api/status");
      status.then(
        (answer) => !gone && setKnown(answer),
        () => {
          status = null;
          if (!gone) timer = setTimeout(read, 3000);
        },
      );
    };
    read();
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, []);
  return known;
}
