import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";

import { type Query, queryString } from "./api/client";

export interface Location {
  path: string;
  query: URLSearchParams;
}

const listeners = new Set<() => void>();

const here = (): Location => ({ path: location.pathname, query: new URLSearchParams(location.search) });
const tell = () => listeners.forEach((listener) => listener());

addEventListener("popstate", tell);

export function navigate(to: string, replace = false): void {
  if (to === location.pathname + location.search) return;
  history[replace ? "replaceState" : "pushState"](null, "", to);
  if (!replace) scrollTo(0, 0);
  tell();
}

export function useLocation(): Location {
  const [current, setCurrent] = useState(here);
  useEffect(() => {
    const listener = () => setCurrent(here());
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }, []);
  return current;
}

/** Changes some parameters of the current address; paging starts anew unless a cursor is given. */
export function setQuery(changes: Query, replace = false): void {
  const query: Query = { ...Object.fromEntries(new URLSearchParams(location.search)), cursor: null, ...changes };
  navigate(location.pathname + queryString(query), replace);
}

interface LinkProps {
  to: string;
  class?: string;
  label?: string;
  current?: boolean;
  title?: string;
  children: ComponentChildren;
}

export function Link({ to, label, current, children, ...rest }: LinkProps) {
  const click = (event: MouseEvent) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    navigate(to);
  };
  return (
    <a href={to} onClick={click} aria-label={label} aria-current={current ? "page" : undefined} {...rest}>
      {children}
    </a>
  );
}
