/** The scatter of a window: what the API answered, ready to be drawn, and the drawing of it. */
import type { GridAnswer, PointsAnswer, WindowUs } from "../api/drill";
import type { Palette } from "../charts/theme";
import { begin, cross, type Frame, nice, type Scale, x, y } from "../overview/plot";

export interface Cloud {
  window: WindowUs;
  start_us: Float64Array;
  duration_us: Float64Array;
  failed: Uint8Array;
  grid: GridAnswer | null;
}

/** Failures that are crosses; of more each is a square, which is quicker to draw. */
const CROSSES = 5_000;
/** How much one dot covers, of 255: where many lie on each other it is darker. */
const COVER = 110;

export function cloud(answer: PointsAnswer): Cloud {
  const { points, window } = answer;
  const start_us = new Float64Array(points.since_us.length);
  let at = window.from_us;
  points.since_us.forEach((since, index) => {
    at += since;
    start_us[index] = at;
  });
  const failed = new Uint8Array(start_us.length);
  for (const index of points.failed) failed[index] = 1;
  return { window, start_us, duration_us: Float64Array.from(points.duration_us), failed, grid: answer.grid };
}

export function view({ window, duration_us, grid }: Cloud, scale: Scale, width: number, height: number): Frame {
  let [low, high] = [Infinity, 0];
  for (const one of duration_us) {
    if (one < low) low = one;
    if (one > high) high = one;
  }
  if (grid && grid.level.length > 0) {
    low = Math.min(low, ...[...new Set(grid.level)].map((level) => grid.levels_us[level]!));
    high = Math.max(high, grid.levels_us.at(-1)!);
  }
  const base = { width, height, from_us: window.from_us, to_us: window.to_us, scale };
  if (scale === "linear") return { ...base, low_us: 0, high_us: nice(Math.max(1000, high)) };
  const bottom = 10 ** Math.floor(Math.log10(Math.max(10, Math.min(low, 1000))));
  return { ...base, low_us: bottom, high_us: 10 ** Math.ceil(Math.log10(Math.max(high * 1.05, 100 * bottom))) };
}

function cells(context: CanvasRenderingContext2D, frame: Frame, cloud: Cloud, palette: Palette): void {
  const grid = cloud.grid!;
  let most = 1;
  for (const count of grid.count) if (count > most) most = count;
  const wide = x(frame, cloud.window.from_us + grid.column_us) - x(frame, cloud.window.from_us);
  grid.count.forEach((count, at) => {
    const left = x(frame, cloud.window.from_us + grid.column[at]! * grid.column_us);
    const [low, high] = [grid.levels_us[grid.level[at]!]!, grid.levels_us[grid.level[at]! + 1]!];
    const [top, bottom] = [y(frame, high), y(frame, low)];
    context.fillStyle = palette.ok;
    context.globalAlpha = 0.15 + (0.8 * Math.log1p(count)) / Math.log1p(most);
    context.fillRect(left, top, Math.max(1, wide), Math.max(1, bottom - top));
    if (grid.errors[at]! > 0) {
      context.fillStyle = palette.bad;
      context.globalAlpha = 0.35 + (0.6 * grid.errors[at]!) / count;
      context.fillRect(left, top, Math.max(1, wide), Math.max(1, bottom - top));
    }
  });
  context.globalAlpha = 1;
}

/** Squares of one colour, set pixel by pixel: two hundred thousand of them take some milliseconds. */
function squares(context: CanvasRenderingContext2D, frame: Frame, cloud: Cloud, colour: string, failed: number): void {
  const density = devicePixelRatio || 1;
  const [width, height] = [Math.floor(frame.width * density), Math.floor(frame.height * density)];
  const layer = document.createElement("canvas");
  [layer.width, layer.height] = [width, height];
  const brush = layer.getContext("2d")!;
  const image = brush.createImageData(width, height);
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16)) as [number, number, number];
  const reach = Math.max(1, Math.round(density));
  for (let index = 0; index < cloud.start_us.length; index++) {
    if (cloud.failed[index] !== failed) continue;
    const px = Math.round(x(frame, cloud.start_us[index]!) * density);
    const py = Math.round(y(frame, cloud.duration_us[index]!) * density);
    for (let row = Math.max(0, py - reach); row <= Math.min(height - 1, py + reach); row++) {
      for (let column = Math.max(0, px - reach); column <= Math.min(width - 1, px + reach); column++) {
        const at = (row * width + column) * 4;
        image.data[at] = red;
        image.data[at + 1] = green;
        image.data[at + 2] = blue;
        // Clamped by the array.
        image.data[at + 3] = image.data[at + 3]! + COVER;
      }
    }
  }
  brush.putImageData(image, 0, 0);
  context.drawImage(layer, 0, 0, width / density, height / density);
}

/** Failures, told apart without colours. */
function crosses(context: CanvasRenderingContext2D, frame: Frame, cloud: Cloud, palette: Palette): void {
  context.strokeStyle = palette.bad;
  context.lineWidth = 2;
  context.beginPath();
  cloud.failed.forEach((failed, index) => {
    if (failed === 0) return;
    cross(context, x(frame, cloud.start_us[index]!), y(frame, cloud.duration_us[index]!));
  });
  context.stroke();
}

/** Draws all but what moves with the pointer. How long it took is told as the measure `scatter`. */
export function paint(context: CanvasRenderingContext2D, frame: Frame, cloud: Cloud, palette: Palette): void {
  const start = performance.now();
  begin(context, frame, palette);
  if (cloud.grid) cells(context, frame, cloud, palette);
  squares(context, frame, cloud, palette.ok, 0);
  const failed = cloud.failed.reduce((sum, one) => sum + one, 0);
  if (failed <= CROSSES) crosses(context, frame, cloud, palette);
  else squares(context, frame, cloud, palette.bad, 1);
  context.restore();
  performance.measure("scatter", { start, end: performance.now() });
}
