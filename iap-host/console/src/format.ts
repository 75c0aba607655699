/** Numbers and times as text, in the chosen language and the browser's time zone. */
import { language } from "./i18n";

/** The browser's own variant of the chosen language, if it has one: it decides how dates are written. */
function locale(): string {
  return navigator.languages.find((known) => known.toLowerCase().startsWith(language())) ?? language();
}

const cache = new Map<string, Intl.NumberFormat | Intl.DateTimeFormat>();

function cached<T extends Intl.NumberFormat | Intl.DateTimeFormat>(key: string, make: () => T): T {
  const full = `${language()} ${key}`;
  if (!cache.has(full)) cache.set(full, make());
  return cache.get(full) as T;
}

export function number(value: number, digits = 0): string {
  const options = { maximumFractionDigits: digits };
  return cached(`n${digits}`, () => new Intl.NumberFormat(locale(), options)).format(value);
}

/** Three significant digits, with a unit. */
export function duration(us: number): string {
  if (us === 0) return "0";
  if (us < 1000) return `${Math.round(us)} µs`;
  if (us < 1e6) return `${three(us / 1000)} ms`;
  if (us < 60e6) return `${three(us / 1e6)} s`;
  const seconds = Math.round(us / 1e6);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

function three(value: number): string {
  return value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
}

export function bytes(value: number): string {
  if (value < 1000) return `${value} B`;
  if (value < 1e6) return `${three(value / 1e3)} kB`;
  if (value < 1e9) return `${three(value / 1e6)} MB`;
  return `${three(value / 1e9)} GB`;
}

export function percent(part: number, whole: number): string {
  if (whole === 0) return "0 %";
  const value = (100 * part) / whole;
  return `${number(value, value < 10 ? 1 : 0)} %`;
}

const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" } as const;

export function clock(us: number): string {
  return cached("clock", () => new Intl.DateTimeFormat(locale(), CLOCK)).format(us / 1000);
}

/** Day and hour, for an axis of days. */
export function dayClock(us: number): string {
  const options = { month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23" } as const;
  return cached("dayClock", () => new Intl.DateTimeFormat(locale(), options)).format(us / 1000);
}

const DAY = { year: "numeric", month: "2-digit", day: "2-digit" } as const;

/** The time of day, after the date when that is not today. */
function moment(at: Date, key: string, options: Intl.DateTimeFormatOptions): string {
  const today = at.toDateString() === new Date().toDateString();
  const all = { ...CLOCK, ...(today ? {} : DAY), ...options };
  return cached(`${key} ${today}`, () => new Intl.DateTimeFormat(locale(), all)).format(at);
}

/** With milliseconds. */
export function time(us: number): string {
  return moment(new Date(us / 1000), "time", { fractionalSecondDigits: 3 });
}

export function dateTime(ms: number): string {
  return moment(new Date(ms), "date", {});
}

/** "3 minutes ago", "in 29 minutes". */
export function relative(ms: number, now = Date.now()): string {
  const format = new Intl.RelativeTimeFormat(locale(), { numeric: "auto", style: "short" });
  const seconds = Math.round((ms - now) / 1000);
  const size = Math.abs(seconds);
  if (size < 60) return format.format(seconds, "second");
  if (size < 3600) return format.format(Math.round(seconds / 60), "minute");
  if (size < 86_400) return format.format(Math.round(seconds / 3600), "hour");
  return format.format(Math.round(seconds / 86_400), "day");
}

/** The browser's zone with its offset from UTC. */
export function zone(): string {
  const name = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const minutes = -new Date().getTimezoneOffset();
  const size = Math.abs(minutes);
  const rest = size % 60 ? `:${String(size % 60).padStart(2, "0")}` : "";
  const offset = `UTC${minutes < 0 ? "−" : "+"}${Math.floor(size / 60)}${rest}`;
  return name === "UTC" ? "UTC" : `${name} (${offset})`;
}
