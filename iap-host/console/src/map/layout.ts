/** Places for boxes and the lines between them: layers from left to right, in the manner of Sugiyama et al. (1981). */

export interface Size {
  width: number;
  height: number;
  /** Between two layers, and between two boxes of one. */
  across: number;
  down: number;
}

export interface Placed {
  width: number;
  height: number;
  /** The upper left corner of each box. */
  at: Map<string, { x: number; y: number }>;
}

/** How often layers are put in order, by turns from the left and from the right. */
const SWEEPS = 6;

type Edges = { from: string; to: string }[];

/** The edges without those that close a circle, found by going from each node along the edges. */
function withoutCircles(ids: string[], edges: Edges): Edges {
  const out = new Map<string, Edges>(ids.map((id) => [id, []]));
  for (const edge of edges) if (edge.from !== edge.to) out.get(edge.from)?.push(edge);
  const kept: Edges = [];
  const state = new Map<string, "open" | "done">();
  for (const first of ids) {
    if (state.has(first)) continue;
    // A stack of our own: a chain may be long.
    const stack = [{ id: first, next: 0 }];
    state.set(first, "open");
    while (stack.length > 0) {
      const top = stack.at(-1)!;
      const edge = out.get(top.id)![top.next++];
      if (!edge) {
        state.set(top.id, "done");
        stack.pop();
      } else if (out.has(edge.to) && state.get(edge.to) !== "open") {
        kept.push(edge);
        if (!state.has(edge.to)) {
          state.set(edge.to, "open");
          stack.push({ id: edge.to, next: 0 });
        }
      }
    }
  }
  return kept;
}

/** How far each node is from the left: behind all that call it. */
function depths(ids: string[], edges: Edges): Map<string, number> {
  const depth = new Map(ids.map((id) => [id, 0]));
  const waiting = new Map(ids.map((id) => [id, 0]));
  for (const edge of edges) waiting.set(edge.to, waiting.get(edge.to)! + 1);
  const ready = ids.filter((id) => waiting.get(id) === 0);
  for (let id = ready.pop(); id !== undefined; id = ready.pop()) {
    for (const edge of edges) {
      if (edge.from !== id) continue;
      depth.set(edge.to, Math.max(depth.get(edge.to)!, depth.get(id)! + 1));
      const rest = waiting.get(edge.to)! - 1;
      waiting.set(edge.to, rest);
      if (rest === 0) ready.push(edge.to);
    }
  }
  return depth;
}

/** Puts each layer in the order of the middle of its neighbours, so that fewer lines cross. */
function order(layers: string[][], edges: Edges): void {
  const place = new Map<string, number>();
  const note = () => layers.forEach((layer) => layer.forEach((id, at) => place.set(id, at - (layer.length - 1) / 2)));
  note();
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const fromLeft = sweep % 2 === 0;
    for (const layer of fromLeft ? layers : layers.toReversed()) {
      const middle = (id: string) => {
        const near = edges.flatMap((edge) =>
          fromLeft ? (edge.to === id ? [place.get(edge.from)!] : []) : edge.from === id ? [place.get(edge.to)!] : [],
        );
        return near.length > 0 ? near.reduce((sum, at) => sum + at, 0) / near.length : place.get(id)!;
      };
      const middles = new Map(layer.map((id) => [id, middle(id)]));
      layer.sort((a, b) => middles.get(a)! - middles.get(b)!);
      note();
    }
  }
}

export function layout(ids: string[], edges: Edges, size: Size): Placed {
  const forward = withoutCircles(ids, edges);
  const depth = depths(ids, forward);
  const layers: string[][] = [];
  for (const id of ids) (layers[depth.get(id)!] ??= []).push(id);
  order(layers, forward);
  const tallest = Math.max(1, ...layers.map((layer) => layer.length));
  const height = tallest * (size.height + size.down) - size.down;
  const at = new Map<string, { x: number; y: number }>();
  layers.forEach((layer, column) => {
    const own = layer.length * (size.height + size.down) - size.down;
    layer.forEach((id, row) => {
      at.set(id, { x: column * (size.width + size.across), y: (height - own) / 2 + row * (size.height + size.down) });
    });
  });
  return { width: Math.max(1, layers.length) * (size.width + size.across) - size.across, height, at };
}
