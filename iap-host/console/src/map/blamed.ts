import type { MapAnswer } from "../api/drill";
import type { Incident } from "../api/types";

/** The ids of the boxes that open incidents are due to. */
export function blamed(map: MapAnswer, incidents: Incident[]): Set<string> {
  const found = new Set<string>();
  for (const { cause } of incidents) {
    const mark = (wanted: (node: MapAnswer["nodes"][number]) => boolean) =>
      map.nodes.filter(wanted).forEach((node) => found.add(node.id));
    const from = `service:${cause.service ?? ""}`;
    switch (cause.kind) {
      case "sql":
        mark((node) => node.kind === "database" && map.edges.some((edge) => edge.from === from && edge.to === node.id));
        break;
      case "session_store":
        mark((node) => node.kind === "session_store");
        break;
      case "upstream":
      case "network":
      case "gc":
      case "memory":
        mark((node) => node.kind !== "clients" && (node.name === cause.upstream || node.name === cause.name));
        break;
      default:
        mark((node) => node.id === from);
    }
  }
  return found;
}
