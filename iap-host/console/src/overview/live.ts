import { useEffect, useState } from "preact/hooks";

import { ApiError, get } from "../api/client";
import type { Live, Point } from "../api/types";

const POLL_MS = 1000;
/** The most that one answer holds; a full one means that there is more. */
const FULL = 2000;
/** The most dots that are kept; beyond, the oldest go. */
const MOST = 40_000;
/** Dots older than the widest scatter are forgotten. */
export const KEEP_US = 300e6;

export interface Feed {
  /** The last answer; null before the first. */
  last: Live | null;
  /** Dots by end time, oldest first. */
  points: Point[];
  missed: number;
  offline: boolean;
  /** Set when the platform refuses, which no further attempt would change. */
  refused: ApiError | null;
}

const START: Feed = { last: null, points: [], missed: 0, offline: false, refused: null };

function merge(old: Feed, answer: Live, since: number): Feed {
  // A restarted platform counts from zero again.
  const restarted = answer.recent.next_seq < since;
  const oldest = answer.live.now_us - KEEP_US;
  const known = restarted ? [] : old.points;
  const recent = [...known, ...answer.recent.points].filter((point) => point.start_us + point.duration_us >= oldest);
  const points = recent.slice(-MOST);
  const missed = since === 0 || restarted ? old.missed : old.missed + answer.recent.missed;
  return { last: answer, points, missed, offline: false, refused: null };
}

/** Asks again every second while the page is visible; after a failure, less often. */
class Poller {
  private since = 0;
  private feed = START;
  private failures = 0;
  private told_ms = performance.now();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private abort: AbortController | null = null;

  constructor(private readonly tell: (feed: Feed) => void) {}

  start = (): void => {
    document.addEventListener("visibilitychange", this.visibility);
    this.visibility();
  };

  stop = (): void => {
    document.removeEventListener("visibilitychange", this.visibility);
    this.pause();
  };

  private pause(): void {
    clearTimeout(this.timer);
    this.abort?.abort();
    this.abort = null;
  }

  private visibility = (): void => {
    this.pause();
    if (!document.hidden) void this.poll();
  };

  private async poll(): Promise<void> {
    const abort = new AbortController();
    this.abort = abort;
    const since = this.since;
    let wait = POLL_MS;
    try {
      const answer = await get<Live>(`/api/live?since=${since}`, abort.signal);
      this.feed = merge(this.feed, answer, since);
      this.since = answer.recent.next_seq < since ? 0 : answer.recent.next_seq;
      this.failures = 0;
      if (answer.recent.points.length >= FULL) {
        // There is more: draw at most once a second until all of it is here.
        wait = 0;
        if (performance.now() - this.told_ms < POLL_MS) return void this.poll();
      }
    } catch (error) {
      if (abort.signal.aborted) return;
      const refused = error instanceof ApiError && error.status >= 400 && error.status < 500 ? error : null;
      this.feed = { ...this.feed, offline: refused === null, refused };
      this.failures += 1;
      wait = POLL_MS * Math.min(this.failures, 5);
    }
    if (abort.signal.aborted) return;
    this.told_ms = performance.now();
    this.tell(this.feed);
    this.timer = setTimeout(() => void this.poll(), wait);
  }
}

export function useLive(): Feed {
  const [feed, setFeed] = useState(START);
  useEffect(() => {
    const poller = new Poller(setFeed);
    poller.start();
    return poller.stop;
  }, []);
  return feed;
}
