import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";

import { clock } from "../format";
import { language } from "../i18n";
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
  height?: number;
  /** Charts of one group show the same moment. */
  group: string;
}

const AXIS_WIDTH = 62;

function options(props: Props, width: number): uPlot.Options {
  const { palette, value, lines } = props;
  const axis = { stroke: palette.dim, font: FONT, grid: { stroke: palette.line, width: 1 }, ticks: { show: false } };
  return {
    width,
    height: props.height ?? 170,
    padding: [10, 12, 0, 0],
    cursor: { sync: { key: props.group }, points: { size: 6 }, drag: { x: false, y: false } },
    legend: { live: true },
    scales: { x: { time: true }, y: { range: (_, __, max) => [0, Math.max(max, Number.EPSILON) * 1.1 || 1] } },
    axes: [
      { ...axis, space: 80, values: (_, splits) => splits.map((at) => clock(at * 1e6)) },
      { ...axis, size: AXIS_WIDTH, space: 36, values: (_, splits) => splits.map((at) => value(at)) },
    ],
    series: [
      { label: "", value: (_, at) => (at == null ? "" : clock(at * 1e6)) },
      ...lines.map((line) => ({
        label: line.name,
        stroke: line.color,
        width: 1.5,
        ...(line.dash ? { dash: line.dash } : {}),
        ...(line.fill ? { fill: `${line.color}29` } : {}),
        points: { show: false },
        value: (_: uPlot, at: number | null) => (at == null ? "–" : value(at)),
      })),
    ],
  };
}

/** A line chart over time. */
export function Chart(props: Props) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props.data);
  latest.current = props.data;
  const look = JSON.stringify([props.lines, props.palette, props.height, language()]);

  useEffect(() => {
    const element = host.current!;
    const made = new uPlot(options(props, element.clientWidth), latest.current as uPlot.AlignedData, element);
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
  return <div class="chart" ref={host} role="img" aria-label={props.label} />;
}
