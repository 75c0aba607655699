import { useEffect, useState } from "preact/hooks";

import type { Answer } from "../api/types";

/** A question that was answered. */
export interface Turn {
  question: string;
  outcome: string;
  text: string;
}

/** Turns that are kept. */
const MAX = 20;

let id = fresh();
let turns: Turn[] = [];
const listeners = new Set<() => void>();

function fresh(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const tell = () => listeners.forEach((listener) => listener());

/** The name that the host knows this page's conversation by. */
export const conversation = (): string => id;

/** Keeps an answer; one to the same question takes the place of the last. */
export function keep(question: string, answer: Answer): void {
  const turn = { question, outcome: answer.outcome, text: answer.text };
  const before = turns.at(-1)?.question === question ? turns.slice(0, -1) : turns;
  turns = [...before, turn].slice(-MAX);
  tell();
}

/** Forgets it all. */
export function begin(): void {
  id = fresh();
  turns = [];
  tell();
}

export function useTurns(): Turn[] {
  const [known, setKnown] = useState(turns);
  useEffect(() => {
    const listener = () => setKnown(turns);
    listeners.add(listener);
    listener();
    return () => void listeners.delete(listener);
  }, []);
  return known;
}
