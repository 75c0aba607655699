import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";

import { clock } from "../format";
import { language, useText } from "../i18n";
import { type Mark, useMarks } from "./marks";
import { FONT, type Palette } from "./theme";

export interface Line {
  name: string;
  color: string;
  dash?: number[];
  fill?: boolean;
}

interface Props {
  label: string;
  /** Seconds since 1970, and one column a line. */
  data: (number | null)[][];
  lines: Line[];
  palette: Palette;
  value: (value: number) => string;
  /** Powers of ten on the value axis, so that small values show beside large ones. */
  log?: boolean;
  height?: number;
  /** Draws on over steps without a value. */
  gaps?: boolean;
  /** Charts of one group show the same moment. */
  group: string;
}

const AXIS_WIDTH = 62;

function options(props: Props, width: number, marks: () => Mark[], point: (index: number | null) => void): uPlot.Options {
  const { palette, value, lines } = props;
  const log: uPlot.Axis = {
    splits: (_, __, low, high) => powers(low, high),
    // Without a filter of its own, uPlot leaves labels out.
    filter: (_, splits) => splits,
  };
  const axis = { stroke: palette.dim, font: FONT, grid: { stroke: palette.line, width: 1 }, ticks: { show: false } };
  return {
    width,
    height: props.height ?? 180,
    padding: [10, 24, 0, 0],
    cursor: { sync: { key: props.group }, points: { size: 6 }, drag: { x: false, y: false } },
    legend: { show: false },
    hooks: { setCursor: [(plot) => point(plot.cursor.idx ?? null)], drawClear: [(plot) => draw(plot, marks(), palette.p95)] },
    scales: {
      x: { time: true },
      y: props.log
        ? { distr: 3, range: (_, low, high) => decades(low, high) }
        : { range: (_, low, high) => [low < 0 ? low * 1.1 : 0, high > 0 ? high * 1.1 : low < 0 ? 0 : 1] },
    },
    axes: [
      { ...axis, size: 26, space: 80, values: (_, splits) => splits.map((at) => clock(at * 1e6)) },
      { ...axis, size: AXIS_WIDTH, space: 36, values: (_, splits) => splits.map((at) => value(at)), ...(props.log ? log : {}) },
    ],
    series: [
      {},
      ...lines.map((line) => ({
        label: line.name,
        stroke: line.color,
        width: 1.5,
        spanGaps: props.gaps ?? false,
        ...(line.dash ? { dash: line.dash } : {}),
        ...(line.fill ? { fill: `${line.color}29` } : {}),
        points: { show: true, size: 4, fill: line.color, filter: lonely },
      })),
    ],
  };
}

/** Those that lie within the time of a chart. */
const within = (marks: Mark[], from: number | null | undefined, to: number | null | undefined) =>
  from == null || to == null ? [] : marks.filter((mark) => mark.at_s >= from && mark.at_s <= to);

/** A line from top to bottom for each mark, behind the values. */
function draw(plot: uPlot, marks: Mark[], color: string): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.strokeStyle = color;
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([2 * devicePixelRatio, 3 * devicePixelRatio]);
  for (const mark of within(marks, plot.scales.x!.min, plot.scales.x!.max)) {
    const at = Math.round(plot.valToPos(mark.at_s, "x", true)) + 0.5;
    ctx.beginPath();
    ctx.moveTo(at, bbox.top);
    ctx.lineTo(at, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

/** A value between two gaps makes no line: it is shown as a dot. */
function lonely(plot: uPlot, series: number): number[] {
  const values = plot.data[series]!;
  const found: number[] = [];
  values.forEach((value, at) => {
    if (value != null && values[at - 1] == null && values[at + 1] == null) found.push(at);
  });
  return found;
}

/** Whole decades around the values; one in the middle when there are none. */
function decades(low: number | null, high: number | null): [number, number] {
  if (!low || !high) return [1e3, 1e5];
  const bottom = 10 ** Math.floor(Math.log10(low));
  return [bottom, Math.max(10 ** Math.ceil(Math.log10(high)), bottom * 10)];
}

function powers(low: number, high: number): number[] {
  const steps = Math.round(Math.log10(high / low));
  return Array.from({ length: steps + 1 }, (_, step) => low * 10 ** step);
}

/** A line chart over time. */
export function Chart(props: Props) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [pointed, setPointed] = useState<number | null>(null);
  const latest = useRef(props.data);
  latest.current = props.data;
  const marks = useMarks();
  const marked = useRef(marks);
  marked.current = marks;
  const look = JSON.stringify([props.lines, props.palette, props.height, language()]);

  useEffect(() => {
    const element = host.current!;
    const made = new uPlot(options(props, element.clientWidth, () => marked.current, setPointed), latest.current as uPlot.AlignedData, element);
    plot.current = made;
    const observer = new ResizeObserver(() => {
      if (element.clientWidth !== made.width) made.setSize({ width: element.clientWidth, height: made.height });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [look]);

  useEffect(() => plot.current?.setData(props.data as uPlot.AlignedData), [props.data]);
  useEffect(() => plot.current?.redraw(false), [marks]);
  const [from, to] = [props.data[0]?.[0], props.data[0]?.at(-1)];
  return (
    <div class="chart">
      <div ref={host} role="img" aria-label={props.label} />
      <Legend {...props} pointed={pointed} mark={within(marks, from, to).at(-1)} />
    </div>
  );
}

/** The values under the pointer, or the last ones. */
function Legend({ data, lines, value, pointed, mark }: Props & { pointed: number | null; mark: Mark | undefined }) {
  const t = useText();
  const index = pointed ?? (data[0]?.length ?? 0) - 1;
  const at = data[0]?.[index];
  return (
    <ul class="legend">
      {lines.map((line, column) => {
        const here = data[column + 1]?.[index];
        return (
          <li key={line.name}>
            <i style={{ borderTopColor: line.color, borderTopStyle: line.dash ? (line.dash[0]! > 2 ? "dashed" : "dotted") : "solid" }} />
            {line.name} <strong>{here == null ? "–" : value(here)}</strong>
          </li>
        );
      })}
      {mark && (
        <li class="legend-mark" title={mark.text}>
          <i /> {t.eventKinds[mark.kind] ?? mark.kind} {clock(mark.at_s * 1e6)}
        </li>
      )}
      <li class="legend-time">{at == null ? "" : clock(at * 1e6)}</li>
    </ul>
  );
}
