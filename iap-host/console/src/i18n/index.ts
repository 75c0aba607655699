import { useEffect, useState } from "preact/hooks";

import { en, type Dictionary } from "./en";
import { ko } from "./ko";

export type Language = "en" | "ko";

/** The languages by their own names. */
export const LANGUAGES: Record<Language, { own: string; texts: Dictionary }> = {
  en: { own: "English", texts: en },
  ko: { own: "한국어", texts: ko },
};

const STORED = "iap.language";
const listeners = new Set<() => void>();
let current: Language = initial();

function initial(): Language {
  let stored: string | null = null;
  try {
    stored = localStorage.getItem(STORED);
  } catch {
    // Storage may be forbidden; then the choice lasts as long as the page.
  }
  if (stored === "en" || stored === "ko") return stored;
  return navigator.language.toLowerCase().startsWith("ko") ? "ko" : "en";
}

export const language = (): Language => current;

export function setLanguage(next: Language): void {
  current = next;
  try {
    localStorage.setItem(STORED, next);
  } catch {
    // As above.
  }
  document.documentElement.lang = next;
  listeners.forEach((listener) => listener());
}

/** The texts of the chosen language; renders again when it changes. */
export function useText(): Dictionary {
  const [chosen, setChosen] = useState(current);
  useEffect(() => {
    const listener = () => setChosen(current);
    listeners.add(listener);
    listener();
    return () => void listeners.delete(listener);
  }, []);
  return LANGUAGES[chosen].texts;
}
