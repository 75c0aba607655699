import { useMemo } from "preact/hooks";

import type { MapAnswer, MapEdge, MapNode } from "../api/drill";
import { queryString } from "../api/client";
import { useGet } from "../api/hooks";
import type { IncidentList } from "../api/types";
import { useMay } from "../access/store";
import { duration, number, percent } from "../format";
import { useText } from "../i18n";
import { Link, navigate, setQuery, useLocation } from "../router";
import { BasisNote } from "../ui/basis";
import { Answer, Panel, readWindow, WindowSelect } from "../ui/parts";
import { blamed } from "./blamed";
import { layout } from "./layout";

const BOX = { width: 204, height: 64, across: 84, down: 22 };
const PAD = 12;
/** How much it is made smaller at most to fit; then it scrolls. */
const SMALLEST = 0.7;
/** Letters that fit into a box. */
const LETTERS = 24;

export function ServiceMap() {
  const t = useText();
  const last_s = readWindow(useLocation().query, 3600);
  const map = useGet<MapAnswer>(`/api/map${queryString({ last_s })}`);
  // Where nothing is watched there are no incidents.
  const incidents = useGet<IncidentList>("/api/incidents?state=active").data?.incidents ?? [];
  const marked = useMemo(() => (map.data ? blamed(map.data, incidents) : new Set<string>()), [map.data, incidents]);
  return (
    <>
      <div class="filters">
        <WindowSelect seconds={last_s} choose={(seconds) => setQuery({ last_s: seconds })} />
        <button type="button" onClick={map.reload}>
          {t.refresh}
        </button>
        <span class="hint">{t.mapHint}</span>
      </div>
      <div aria-busy={map.loading}>
        <Answer of={map}>
          {(data) =>
            data.edges.length === 0 ? (
              <section class="panel empty">
                <strong>{t.noMap}</strong>
                <p>{t.noMapHint}</p>
              </section>
            ) : (
              <>
                <section class="panel map-panel">
                  <Drawing map={data} marked={marked} last_s={last_s} />
                </section>
                <EdgeTable map={data} last_s={last_s} />
                <BasisNote basis={data.basis} from_us={data.basis.window.to_us - last_s * 1e6} />
                {data.more > 0 && <p class="count">{t.andMoreOnes(number(data.more))}</p>}
              </>
            )
          }
        </Answer>
      </div>
    </>
  );
}

/** Calls a second; few are not none. */
const rate = (calls: number, last_s: number): string => number(calls / last_s, calls < last_s / 10 ? 4 : 2);

/** Where a box leads: a list that has something of it, or nowhere. */
function target(node: MapNode, map: MapAnswer, last_s: number): string | null {
  const calls = (from: string, to: string) =>
    map.edges.some((edge) => edge.from.startsWith(from) && edge.to.startsWith(to));
  switch (node.kind) {
    case "clients":
      return `/transactions${queryString({ last_s })}`;
    case "service":
      // What came by another one is a part of that one's transaction.
      if (calls("clients", node.id)) return `/transactions${queryString({ last_s, service: node.name })}`;
      if (calls(node.id, "database:")) return `/sql${queryString({ last_s, service: node.name })}`;
      return node.errors > 0 ? `/errors${queryString({ last_s, service: node.name })}` : null;
    case "database":
      return `/sql${queryString({ last_s })}`;
    default:
      return node.errors > 0 ? `/errors${queryString({ last_s })}` : null;
  }
}

function Drawing({ map, marked, last_s }: { map: MapAnswer; marked: Set<string>; last_s: number }) {
  const t = useText();
  const placed = useMemo(() => {
    // Who is called by nobody stands on the left.
    const ids = map.nodes.toSorted((a, b) => a.calls - b.calls).map((node) => node.id);
    return layout(ids, map.edges, BOX);
  }, [map]);
  const [width, height] = [placed.width + 2 * PAD, placed.height + 2 * PAD];
  const most = Math.max(...map.edges.map((edge) => edge.calls));
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label={t.mapLabel(number(map.nodes.length), number(map.edges.length))}>
      <svg class="map" viewBox={`${-PAD} ${-PAD} ${width} ${height}`} width={width} style={{ minWidth: `${width * SMALLEST}px` }}>
        {map.edges.map((edge) => (
          <Line key={`${edge.from}\n${edge.to}`} edge={edge} placed={placed.at} most={most} last_s={last_s} />
        ))}
        {map.nodes.map((node) => (
          <Box key={node.id} node={node} place={placed.at.get(node.id)!} marked={marked.has(node.id)} map={map} last_s={last_s} />
        ))}
      </svg>
    </div>
  );
}

interface LineProps {
  edge: MapEdge;
  placed: Map<string, { x: number; y: number }>;
  most: number;
  last_s: number;
}

function Line({ edge, placed, most, last_s }: LineProps) {
  const t = useText();
  const [from, to] = [placed.get(edge.from)!, placed.get(edge.to)!];
  const [x1, y1] = [from.x + BOX.width, from.y + BOX.height / 2];
  const [x2, y2] = [to.x, to.y + BOX.height / 2];
  // One that leads back goes around the boxes.
  const bend = x2 > x1 ? (x2 - x1) / 2 : BOX.across;
  const sag = x2 > x1 ? 0 : BOX.height;
  const path = `M${x1} ${y1}C${x1 + bend} ${y1 + sag} ${x2 - bend} ${y2 + sag} ${x2} ${y2}`;
  const share = edge.errors / Math.max(1, edge.calls);
  const width = 1.5 + (5 * Math.log1p(edge.calls)) / Math.log1p(most);
  const often = t.perSecond(rate(edge.calls, last_s));
  return (
    <g class={share > 0 ? "map-line map-line-bad" : "map-line"}>
      <title>{`${edge.from} → ${edge.to}: ${often}, ${t.errors} ${percent(edge.errors, edge.calls)}, p95 ${duration(edge.p95_us)}`}</title>
      <path d={path} stroke-width={width} opacity={share > 0 ? 0.45 + 0.55 * Math.sqrt(share) : undefined} />
      <path class="map-arrow" d={`M${x2 - 8} ${y2 - 5}L${x2} ${y2}L${x2 - 8} ${y2 + 5}Z`} />
    </g>
  );
}

interface BoxProps {
  node: MapNode;
  place: { x: number; y: number };
  marked: boolean;
  map: MapAnswer;
  last_s: number;
}

function Box({ node, place, marked, map, last_s }: BoxProps) {
  const t = useText();
  const details = useMay("detail");
  const kind = t.nodeKinds[node.kind] ?? node.kind;
  const name = node.name || kind;
  const figures = node.calls > 0 ? [t.perSecond(rate(node.calls, last_s)), `p95 ${duration(node.p95_us)}`] : [];
  if (node.errors > 0) figures.push(`✕ ${percent(node.errors, node.calls)}`);
  const cut = name.length > LETTERS;
  const lines = [marked ? `▲ ${t.blamed}` : kind, cut ? `${name.slice(0, LETTERS - 1)}…` : name, figures.join(" · ")];
  // What is seen, and the whole name.
  const said = [...lines, ...(cut ? [`(${name})`] : [])].join(" ").trim();
  const to = details ? target(node, map, last_s) : null;
  const drawn = (
    <>
      <rect width={BOX.width} height={BOX.height} rx={8}>
        <title>{said}</title>
      </rect>
      <text x={10} y={17} class="map-kind">
        {lines[0]}
      </text>
      <text x={10} y={35} class="map-name">
        {lines[1]}
      </text>
      <text x={10} y={53} class={node.errors > 0 ? "map-figures map-bad" : "map-figures"}>
        {lines[2]}
      </text>
    </>
  );
  const classes = `map-box map-${node.kind} ${marked ? "map-blamed" : ""}`;
  const transform = `translate(${place.x} ${place.y})`;
  if (to === null) {
    return (
      <g class={classes} transform={transform} role="img" aria-label={said}>
        {drawn}
      </g>
    );
  }
  const click = (event: MouseEvent) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    navigate(to);
  };
  return (
    <g transform={transform}>
      <a class={classes} href={to} onClick={click}>
        {drawn}
      </a>
    </g>
  );
}

function EdgeTable({ map, last_s }: { map: MapAnswer; last_s: number }) {
  const t = useText();
  const details = useMay("detail");
  const nodes = useMemo(() => new Map(map.nodes.map((node) => [node.id, node])), [map]);
  const name = (id: string) => {
    const node = nodes.get(id)!;
    const text = node.name || t.nodeKinds[node.kind] || node.kind;
    const to = details ? target(node, map, last_s) : null;
    return to === null ? text : <Link to={to}>{text}</Link>;
  };
  return (
    <Panel title={t.connections}>
      <div class="scroll">
        <table class="cards-when-narrow">
          <thead>
            <tr>
              <th scope="col">{t.callsFrom}</th>
              <th scope="col">{t.callsTo}</th>
              <th scope="col" class="num">{t.callRate}</th>
              <th scope="col" class="num">{t.statementCalls}</th>
              <th scope="col" class="num">{t.errorShare}</th>
              <th scope="col" class="num">p50</th>
              <th scope="col" class="num">p95</th>
            </tr>
          </thead>
          <tbody>
            {map.edges.map((edge) => (
              <tr key={`${edge.from}\n${edge.to}`}>
                <td data-label={t.callsFrom} class="names-cell">{name(edge.from)}</td>
                <td data-label={t.callsTo} class="names-cell">{name(edge.to)}</td>
                <td data-label={t.callRate} class="num">{rate(edge.calls, last_s)}</td>
                <td data-label={t.statementCalls} class="num">{number(edge.calls)}</td>
                <td data-label={t.errorShare} class={`num ${edge.errors > 0 ? "bad-text" : ""}`}>{percent(edge.errors, edge.calls)}</td>
                <td data-label="p50" class="num">{duration(edge.p50_us)}</td>
                <td data-label="p95" class="num">{duration(edge.p95_us)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}
