/** The scatter: geometry and drawing, without any state of the page. */
import type { Point } from "../api/types";
import { FONT, type Palette } from "../charts/theme";
import { clock, dayClock, duration } from "../format";

export type Scale = "log" | "linear";

/** What the plot shows, and where on the canvas. */
export interface Frame {
  width: number;
  height: number;
  from_us: number;
  to_us: number;
  low_us: number;
  high_us: number;
  scale: Scale;
}

/** A rectangle in time and duration, so that it keeps its content while the plot moves on. */
export interface Area {
  from_us: number;
  to_us: number;
  low_us: number;
  high_us: number;
}

export const MARGIN = { left: 62, right: 12, top: 10, bottom: 24 };
/** How far from a dot the pointer may be, in pixels. */
const REACH = 10;
/** Above it, dots are squares, which are quicker to draw. */
const MANY = 5000;
/** Between two times on the axis; from some length on with their day. */
const STEPS = [10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 172_800, 604_800].map((s) => s * 1e6);
const DAYS = 72_000e6;

export const end = (point: Point): number => point.start_us + point.duration_us;

export function frame(points: Point[], now_us: number, span_us: number, scale: Scale, width: number, height: number): Frame {
  let low = Infinity;
  let high = 0;
  for (const point of points) {
    low = Math.min(low, point.duration_us);
    high = Math.max(high, point.duration_us);
  }
  const base = { width, height, from_us: now_us - span_us, to_us: now_us, scale };
  if (scale === "linear") return { ...base, low_us: 0, high_us: nice(high || 1000) };
  const bottom = 10 ** Math.floor(Math.log10(Math.max(10, Math.min(low, 1000))));
  // Two decades at least.
  const top = 10 ** Math.ceil(Math.log10(Math.max(high * 1.05, 100_000)));
  return { ...base, low_us: bottom, high_us: top };
}

/** The next 1, 2 or 5 with zeroes. */
export function nice(value: number): number {
  const unit = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find((step) => step * unit >= value) ?? 10) * unit;
}

export function x(frame: Frame, at_us: number): number {
  const inner = frame.width - MARGIN.left - MARGIN.right;
  return MARGIN.left + ((at_us - frame.from_us) / (frame.to_us - frame.from_us)) * inner;
}

export function y(frame: Frame, duration_us: number): number {
  const inner = frame.height - MARGIN.top - MARGIN.bottom;
  const share =
    frame.scale === "linear"
      ? duration_us / frame.high_us
      : Math.log(Math.max(duration_us, frame.low_us) / frame.low_us) / Math.log(frame.high_us / frame.low_us);
  return MARGIN.top + (1 - share) * inner;
}

/** The time and duration at a place of the canvas. */
export function invert(frame: Frame, px: number, py: number): [number, number] {
  const across = (px - MARGIN.left) / (frame.width - MARGIN.left - MARGIN.right);
  const share = 1 - (py - MARGIN.top) / (frame.height - MARGIN.top - MARGIN.bottom);
  const at = frame.from_us + across * (frame.to_us - frame.from_us);
  if (frame.scale === "linear") return [at, share * frame.high_us];
  return [at, frame.low_us * (frame.high_us / frame.low_us) ** share];
}

export function area(frame: Frame, a: [number, number], b: [number, number]): Area {
  const [time1, duration1] = invert(frame, ...a);
  const [time2, duration2] = invert(frame, ...b);
  const low = Math.min(duration1, duration2);
  return {
    from_us: Math.min(time1, time2),
    to_us: Math.max(time1, time2),
    // What lies below the axis is drawn on it.
    low_us: low <= frame.low_us * 1.02 ? 0 : low,
    high_us: Math.max(duration1, duration2),
  };
}

export function inside(points: Point[], area: Area): Point[] {
  return points.filter((point) => {
    const at = end(point);
    return (
      at >= area.from_us && at <= area.to_us && point.duration_us >= area.low_us && point.duration_us <= area.high_us
    );
  });
}

/** The point at a place, failures first, or null. */
export function nearest(frame: Frame, points: Point[], px: number, py: number): Point | null {
  let best: Point | null = null;
  let bestDistance = REACH;
  for (const point of points) {
    const away = Math.hypot(x(frame, end(point)) - px, y(frame, point.duration_us) - py);
    const distance = point.failed ? away * 0.7 : away;
    if (distance < bestDistance) [best, bestDistance] = [point, distance];
  }
  return best;
}

function durationTicks(frame: Frame): number[] {
  if (frame.scale === "linear") return [0, 0.25, 0.5, 0.75, 1].map((share) => share * frame.high_us);
  const ticks = [];
  for (let tick = frame.low_us; tick <= frame.high_us * 1.001; tick *= 10) ticks.push(tick);
  return ticks;
}

export function grid(context: CanvasRenderingContext2D, frame: Frame, palette: Palette): void {
  context.strokeStyle = palette.line;
  context.fillStyle = palette.dim;
  context.font = FONT;
  context.lineWidth = 1;
  context.textBaseline = "middle";
  context.textAlign = "right";
  for (const tick of durationTicks(frame)) {
    const at = Math.round(y(frame, tick)) + 0.5;
    stroke(context, MARGIN.left, at, frame.width - MARGIN.right, at);
    context.fillText(tick === 0 ? "0" : duration(tick), MARGIN.left - 8, at);
  }
  context.textBaseline = "alphabetic";
  context.textAlign = "center";
  const span = frame.to_us - frame.from_us;
  const label = span >= DAYS ? dayClock : clock;
  const step = STEPS.find((size) => (span / size) * 80 <= frame.width - MARGIN.left) ?? STEPS.at(-1)!;
  for (let tick = Math.ceil(frame.from_us / step) * step; tick <= frame.to_us; tick += step) {
    const at = Math.round(x(frame, tick)) + 0.5;
    stroke(context, at, MARGIN.top, at, frame.height - MARGIN.bottom);
    if (at > MARGIN.left + 24 && at < frame.width - 30) context.fillText(label(tick), at, frame.height - 7);
  }
}

function stroke(context: CanvasRenderingContext2D, x1: number, y1: number, x2: number, y2: number): void {
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}

/** Adds the mark of a failure to the path. */
export function cross(context: CanvasRenderingContext2D, px: number, py: number): void {
  context.moveTo(px - 4, py - 4);
  context.lineTo(px + 4, py + 4);
  context.moveTo(px - 4, py + 4);
  context.lineTo(px + 4, py - 4);
}

function dots(context: CanvasRenderingContext2D, frame: Frame, points: Point[], palette: Palette): void {
  context.fillStyle = palette.ok;
  context.globalAlpha = points.length > 2000 ? 0.45 : 0.75;
  context.beginPath();
  const many = points.length > MANY;
  for (const point of points) {
    if (point.failed) continue;
    const [px, py] = [x(frame, end(point)), y(frame, point.duration_us)];
    if (many) {
      context.rect(px - 1.5, py - 1.5, 3, 3);
      continue;
    }
    context.moveTo(px + 2.5, py);
    context.arc(px, py, 2.5, 0, 2 * Math.PI);
  }
  context.fill();
  // Failures lie on top, as crosses: told apart without colours.
  context.globalAlpha = 1;
  context.strokeStyle = palette.bad;
  context.lineWidth = 2;
  context.beginPath();
  for (const point of points) {
    if (!point.failed) continue;
    cross(context, x(frame, end(point)), y(frame, point.duration_us));
  }
  context.stroke();
}

/** Draws a chosen area over it. */
export function mark(context: CanvasRenderingContext2D, frame: Frame, area: Area, palette: Palette): void {
  const [left, right] = [x(frame, area.from_us), x(frame, area.to_us)];
  const [top, bottom] = [y(frame, Math.min(area.high_us, frame.high_us)), y(frame, Math.max(area.low_us, frame.low_us))];
  context.fillStyle = palette.accent;
  context.strokeStyle = palette.accent;
  context.globalAlpha = 0.14;
  context.fillRect(left, top, right - left, bottom - top);
  context.globalAlpha = 1;
  context.lineWidth = 1;
  context.strokeRect(left, top, right - left, bottom - top);
}

/** An empty plot with its grid; what is drawn next stays inside, until the context is restored. */
export function begin(context: CanvasRenderingContext2D, frame: Frame, palette: Palette): void {
  const density = devicePixelRatio || 1;
  context.setTransform(density, 0, 0, density, 0, 0);
  context.clearRect(0, 0, frame.width, frame.height);
  grid(context, frame, palette);
  context.save();
  context.beginPath();
  context.rect(MARGIN.left, 0, frame.width - MARGIN.left, frame.height - MARGIN.bottom + 6);
  context.clip();
}

export function draw(
  context: CanvasRenderingContext2D,
  frame: Frame,
  points: Point[],
  palette: Palette,
  chosen: Area | null,
  hovered: Point | null,
): void {
  begin(context, frame, palette);
  dots(context, frame, points, palette);
  if (chosen) mark(context, frame, chosen, palette);
  if (hovered) {
    context.strokeStyle = palette.accent;
    context.lineWidth = 2;
    context.beginPath();
    context.arc(x(frame, end(hovered)), y(frame, hovered.duration_us), 7, 0, 2 * Math.PI);
    context.stroke();
  }
  context.restore();
}
