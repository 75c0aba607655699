import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import type { PointsAnswer } from "../api/drill";
import { usePalette } from "../charts/theme";
import { number } from "../format";
import { useText } from "../i18n";
import { type Area, area, type Frame, mark, type Scale } from "../overview/plot";
import { ScaleSwitch, useWidth } from "../overview/scatter";
import { Panel } from "../ui/parts";
import { AreaForm } from "./area";
import { type Cloud, cloud, paint, view } from "./cloud";

const HEIGHT = 280;
/** How far around a click is looked, in pixels. */
const AROUND = 5;

interface Props {
  answer: PointsAnswer;
  scale: Scale;
  setScale: (scale: Scale) => void;
  chosen: Area | null;
  /** Shows what is in an area, or all again. */
  choose: (area: Area | null, answer: PointsAnswer) => void;
}

export function WindowScatter({ answer, scale, setScale, chosen, choose }: Props) {
  const t = useText();
  const data = useMemo(() => cloud(answer), [answer]);
  return (
    <Panel
      class="scatter-panel"
      title={t.scatter}
      side={<ScaleSwitch scale={scale} setScale={setScale} />}
    >
      <Plot
        label={t.scatterOf(number(answer.count - answer.errors), number(answer.errors))}
        data={data}
        scale={scale}
        chosen={chosen}
        choose={(rectangle) => choose(rectangle, answer)}
      />
      <div class="scatter-foot">
        <span class="key key-ok">
          {t.success} {number(answer.count - answer.errors)}
        </span>
        <span class="key key-bad">
          {t.failure} {number(answer.errors)}
        </span>
        <span class="hint">{answer.grid ? t.scatterGrid(number(answer.kept)) : t.scatterArea}</span>
        {chosen && (
          <button type="button" onClick={() => choose(null, answer)}>
            {t.leaveArea}
          </button>
        )}
      </div>
      <AreaForm window={answer.window} chosen={chosen} choose={(rectangle) => choose(rectangle, answer)} />
    </Panel>
  );
}

interface PlotProps {
  label: string;
  data: Cloud;
  scale: Scale;
  chosen: Area | null;
  choose: (area: Area) => void;
}

function Plot({ label, data, scale, chosen, choose }: PlotProps) {
  const palette = usePalette();
  const [host, width] = useWidth();
  const canvas = useRef<HTMLCanvasElement>(null);
  const [drag, setDrag] = useState<{ from: [number, number]; to: [number, number] } | null>(null);
  const frame = useMemo(() => view(data, scale, width, HEIGHT), [data, scale, width]);
  // What does not move with the pointer is drawn once.
  const still = useMemo(() => document.createElement("canvas"), []);
  const density = devicePixelRatio || 1;

  useEffect(() => {
    if (width === 0) return;
    [still.width, still.height] = [Math.floor(width * density), HEIGHT * density];
    paint(still.getContext("2d")!, frame, data, palette);
  }, [frame, data, palette, width]);
  useEffect(() => {
    const context = canvas.current?.getContext("2d");
    if (!context || width === 0) return;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, still.width, still.height);
    context.drawImage(still, 0, 0);
    context.setTransform(density, 0, 0, density, 0, 0);
    const rectangle = drag ? area(frame, drag.from, drag.to) : chosen;
    if (rectangle) mark(context, frame, rectangle, palette);
  }, [frame, data, palette, width, drag, chosen]);

  const place = (event: PointerEvent): [number, number] => {
    const box = canvas.current!.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const up = (event: PointerEvent) => {
    if (!drag) return;
    const [[x1, y1], [x2, y2]] = [drag.from, place(event)];
    const clicked = Math.hypot(x2 - x1, y2 - y1) < AROUND;
    choose(clicked ? around(frame, x1, y1) : area(frame, drag.from, [x2, y2]));
    setDrag(null);
  };
  return (
    <div class="scatter" ref={host}>
      <canvas
        ref={canvas}
        width={Math.floor(width * density)}
        height={HEIGHT * density}
        role="img"
        aria-label={label}
        onPointerDown={(event) => {
          if (event.button !== 0) return;
          canvas.current!.setPointerCapture(event.pointerId);
          setDrag({ from: place(event), to: place(event) });
        }}
        onPointerMove={(event) => drag && setDrag({ ...drag, to: place(event) })}
        onPointerUp={up}
        onPointerCancel={() => setDrag(null)}
      />
    </div>
  );
}

/** What a click means: what lies near it. */
const around = (frame: Frame, px: number, py: number): Area =>
  area(frame, [px - AROUND, py - AROUND], [px + AROUND, py + AROUND]);
