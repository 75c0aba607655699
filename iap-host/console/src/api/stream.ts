import { ApiError } from "./client";
import type { Answer, AskStep, Problem } from "./types";

/** How long an answer may take: a model has its time. */
const TIMEOUT_MS = 120_000;

type Told = { step: string } | { text: string } | { answer: Answer } | { error: string };

/** Asks, tells each step as it comes, and gives the answer. */
export async function ask(path: string, tell: (step: AskStep) => void, signal: AbortSignal): Promise<Answer> {
  let response: Response;
  try {
    const signals = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
    response = await fetch(path, { signal: signals, headers: { accept: "text/event-stream" } });
    if (response.ok && response.body) {
      for await (const data of events(response.body)) {
        const told = JSON.parse(data) as Told;
        if ("answer" in told) return told.answer;
        if ("error" in told) throw new ApiError(503, told.error);
        if ("step" in told) tell(told as AskStep);
      }
    }
  } catch (error) {
    if (signal.aborted || error instanceof ApiError) throw error;
    throw new ApiError(0, "");
  }
  if (response.ok) throw new ApiError(0, "");
  const problem = (await response.json().catch(() => null)) as Problem | null;
  throw new ApiError(response.status, problem?.detail ?? response.statusText);
}

/** The data of server-sent events: ours have one line each. */
async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line.startsWith("data:")) yield line.slice(5).trim();
      }
    }
  } finally {
    // Whoever has the answer reads no further.
    void reader.cancel().catch(() => undefined);
  }
}
