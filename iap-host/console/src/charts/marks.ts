/** What changed, as marks on charts over time. */
import { useEffect, useState } from "preact/hooks";

import { get } from "../api/client";
import type { Timeline } from "../api/types";

export interface Mark {
  at_s: number;
  kind: string;
  text: string;
}

/** How often it is looked, and how far back. */
const EVERY_MS = 15_000;
const LAST_S = 31 * 86_400;
const MOST = 50;
const KINDS = ["config_reloaded", "started", "crashed", "deployed"];

const listeners = new Set<(marks: Mark[]) => void>();
let known: Mark[] = [];
let running = false;

async function read(): Promise<void> {
  const asked = KINDS.map((kind) => get<Timeline>(`/api/timeline?kind=${kind}&last_s=${LAST_S}&limit=${MOST}`));
  const answers = await Promise.all(asked.map((one) => one.catch(() => null)));
  const marks = answers.flatMap((answer) => answer?.events ?? []);
  known = marks.map(({ time_us, kind, text }) => ({ at_s: time_us / 1e6, kind, text })).sort((a, b) => a.at_s - b.at_s);
  listeners.forEach((listener) => listener(known));
}

async function run(): Promise<void> {
  if (running) return;
  running = true;
  while (listeners.size > 0) {
    if (!document.hidden) await read();
    await new Promise((wake) => setTimeout(wake, EVERY_MS));
  }
  running = false;
}

/** Read once for all charts, and only while there are some. */
export function useMarks(): Mark[] {
  const [marks, setMarks] = useState(known);
  useEffect(() => {
    listeners.add(setMarks);
    void run();
    return () => void listeners.delete(setMarks);
  }, []);
  return marks;
}
