import { useCallback, useEffect, useState } from "preact/hooks";

import { ApiError } from "../api/client";
import { ask } from "../api/stream";
import type { Answer, AskStep } from "../api/types";

export interface Asked {
  data: Answer | null;
  error: ApiError | null;
  loading: boolean;
  /** What was done so far, the latest last. */
  steps: AskStep[];
  reload: () => void;
}

type State = Omit<Asked, "reload"> & { path: string | null };

const nothing = (path: string | null): State => ({ path, data: null, error: null, loading: path !== null, steps: [] });

/** Asks `path` whenever it changes. */
export function useAnswer(path: string | null): Asked {
  const [turn, setTurn] = useState(0);
  const [state, setState] = useState(nothing(path));
  useEffect(() => {
    setState(nothing(path));
    if (path === null) return;
    const abort = new AbortController();
    const tell = (step: AskStep) => setState((old) => ({ ...old, steps: [...old.steps, step] }));
    ask(path, tell, abort.signal).then(
      (data) => setState((old) => ({ ...old, data, loading: false })),
      (error: unknown) => {
        if (abort.signal.aborted) return;
        const known = error instanceof ApiError ? error : new ApiError(0, String(error));
        setState((old) => ({ ...old, error: known, loading: false }));
      },
    );
    return () => abort.abort();
  }, [path, turn]);
  const reload = useCallback(() => setTurn((old) => old + 1), []);
  return { ...state, loading: state.loading || state.path !== path, reload };
}
