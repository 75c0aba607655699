import { useEffect, useState } from "preact/hooks";

export interface Palette {
  text: string;
  dim: string;
  line: string;
  panel: string;
  ok: string;
  bad: string;
  p50: string;
  p95: string;
  p99: string;
  accent: string;
}

const NAMES: (keyof Palette)[] = ["text", "dim", "line", "panel", "ok", "bad", "p50", "p95", "p99", "accent"];

function read(): Palette {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()])) as unknown as Palette;
}

/** The colours of the style sheet, for what is drawn on canvas. */
export function usePalette(): Palette {
  const [palette, setPalette] = useState(read);
  useEffect(() => {
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const change = () => setPalette(read());
    dark.addEventListener("change", change);
    return () => dark.removeEventListener("change", change);
  }, []);
  return palette;
}

export const FONT = '11px system-ui, -apple-system, "Segoe UI", sans-serif';
