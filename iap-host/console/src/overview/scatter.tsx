import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { useMay } from "../access/store";
import type { Point } from "../api/types";
import { usePalette } from "../charts/theme";
import { duration, number, time } from "../format";
import { useText } from "../i18n";
import { navigate } from "../router";
import { Panel, Segments } from "../ui/parts";
import { type Area, area, draw, end, type Frame, frame, inside, nearest, type Scale, x, y } from "./plot";
import { Selection } from "./selection";

const HEIGHT = 280;
/** A pointer that moved less has clicked. */
const CLICK = 5;

type Minutes = "2" | "5";

interface Props {
  points: Point[];
  now_us: number;
  missed: number;
}

export function Scatter({ points, now_us, missed }: Props) {
  const t = useText();
  const details = useMay("detail");
  const [minutes, setMinutes] = useState<Minutes>("2");
  const [scale, setScale] = useState<Scale>("log");
  const [chosen, setChosen] = useState<Area | null>(null);
  const [listed, setListed] = useState<Point[] | null>(null);
  const span_us = Number(minutes) * 60e6;
  const shown = useMemo(() => points.filter((point) => end(point) >= now_us - span_us), [points, now_us, span_us]);
  const failed = shown.filter((point) => point.failed);
  const list = (some: Point[], rectangle: Area | null) => {
    setChosen(rectangle);
    setListed(some.toSorted((a, b) => b.duration_us - a.duration_us));
  };
  return (
    <Panel
      class="scatter-panel"
      title={t.scatter}
      side={<Switches minutes={minutes} setMinutes={setMinutes} scale={scale} setScale={setScale} />}
    >
      <Plot
        label={t.scatterLabel(number(shown.length - failed.length), number(failed.length), Number(minutes))}
        points={shown}
        now_us={now_us}
        span_us={span_us}
        scale={scale}
        chosen={chosen}
        select={(rectangle) => details && list(inside(shown, rectangle), rectangle)}
      />
      <div class="scatter-foot">
        <span class="key key-ok">
          {t.success} {number(shown.length - failed.length)}
        </span>
        <span class="key key-bad">
          {t.failure} {number(failed.length)}
        </span>
        <span class="hint">{missed > 0 ? t.missed(number(missed)) : details ? t.scatterHint : t.notSingle}</span>
        {details && (
          <>
            <button type="button" onClick={() => list(shown, null)}>
              {t.listAll}
            </button>
            <button type="button" onClick={() => list(failed, null)}>
              {t.listFailed}
            </button>
          </>
        )}
      </div>
      {listed && (
        <Selection
          points={listed}
          close={() => {
            setChosen(null);
            setListed(null);
          }}
        />
      )}
    </Panel>
  );
}

/** How durations lie on their axis. */
export function ScaleSwitch({ scale, setScale }: { scale: Scale; setScale: (scale: Scale) => void }) {
  const t = useText();
  return (
    <Segments
      label={t.scale}
      value={scale}
      choices={[
        { value: "log", text: t.scaleLog },
        { value: "linear", text: t.scaleLinear },
      ]}
      choose={setScale}
    />
  );
}

interface SwitchesProps {
  minutes: Minutes;
  setMinutes: (minutes: Minutes) => void;
  scale: Scale;
  setScale: (scale: Scale) => void;
}

function Switches({ minutes, setMinutes, scale, setScale }: SwitchesProps) {
  const t = useText();
  return (
    <>
      <Segments
        label={t.window}
        value={minutes}
        choices={(["2", "5"] as const).map((value) => ({ value, text: t.lastMinutes(Number(value)) }))}
        choose={setMinutes}
      />
      <ScaleSwitch scale={scale} setScale={setScale} />
    </>
  );
}

interface PlotProps {
  label: string;
  points: Point[];
  now_us: number;
  span_us: number;
  scale: Scale;
  chosen: Area | null;
  select: (rectangle: Area) => void;
}

/** How wide an element is. */
export function useWidth(): [preact.RefObject<HTMLDivElement | null>, number] {
  const host = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.floor(entry!.contentRect.width)));
    observer.observe(host.current!);
    return () => observer.disconnect();
  }, []);
  return [host, width];
}

function Plot({ label, points, now_us, span_us, scale, chosen, select }: PlotProps) {
  const palette = usePalette();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [host, width] = useWidth();
  const [hovered, setHovered] = useState<Point | null>(null);
  const [drag, setDrag] = useState<{ from: [number, number]; to: [number, number]; frame: Frame } | null>(null);
  const view = useMemo(() => frame(points, now_us, span_us, scale, width, HEIGHT), [points, now_us, span_us, scale, width]);
  // While a rectangle is drawn, the plot stands still.
  const held = drag?.frame ?? view;
  const moved = drag !== null && Math.hypot(drag.to[0] - drag.from[0], drag.to[1] - drag.from[1]) >= CLICK;

  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context || width === 0) return;
    const rectangle = moved ? area(held, drag.from, drag.to) : chosen;
    draw(context, held, points, palette, rectangle, moved ? null : hovered);
  }, [held, points, palette, chosen, drag, hovered, width]);

  const place = (event: PointerEvent): [number, number] => {
    const box = canvas.current!.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const down = (event: PointerEvent) => {
    if (event.button !== 0) return;
    canvas.current!.setPointerCapture(event.pointerId);
    setDrag({ from: place(event), to: place(event), frame: view });
  };
  const move = (event: PointerEvent) => {
    const to = place(event);
    if (drag) setDrag({ ...drag, to });
    else setHovered(nearest(view, points, ...to));
  };
  const up = (event: PointerEvent) => {
    if (!drag) return;
    const to = place(event);
    if (Math.hypot(to[0] - drag.from[0], to[1] - drag.from[1]) >= CLICK) {
      select(area(drag.frame, drag.from, to));
    } else {
      const hit = nearest(drag.frame, points, ...to);
      if (hit) navigate(`/transactions/${hit.trace_id}`);
    }
    setDrag(null);
  };
  const density = devicePixelRatio || 1;
  return (
    <div class="scatter" ref={host}>
      <canvas
        ref={canvas}
        class={hovered ? "scatter-hit" : ""}
        width={Math.floor(width * density)}
        height={HEIGHT * density}
        role="img"
        aria-label={label}
        onPointerDown={down}
        onPointerMove={move}
        onPointerUp={up}
        onPointerCancel={() => setDrag(null)}
        onPointerLeave={() => setHovered(null)}
      />
      {hovered && !moved && <Tooltip point={hovered} view={held} />}
    </div>
  );
}

function Tooltip({ point, view }: { point: Point; view: Frame }) {
  const t = useText();
  const [px, py] = [x(view, end(point)), y(view, point.duration_us)];
  const side = px > view.width / 2 ? { right: `${view.width - px + 12}px` } : { left: `${px + 12}px` };
  return (
    <div class="tooltip" role="tooltip" style={{ top: `${Math.max(4, py - 30)}px`, ...side }}>
      <strong>{duration(point.duration_us)}</strong> {point.route}
      <br />
      <span class={point.failed ? "bad-text" : ""}>
        {point.status || "–"} {point.failed ? t.failure : t.success}
      </span>
      <br />
      {time(point.start_us)}
    </div>
  );
}
