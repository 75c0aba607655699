import type { ActiveRoute } from "../api/types";
import { duration, number } from "../format";
import { useText } from "../i18n";

/** The names of the bands: "under 500 ms", …, "8 s or more". */
function bandNames(t: ReturnType<typeof useText>, ends: number[]): string[] {
  return [...ends.map((end) => t.bandUpTo(duration(end))), t.bandFrom(duration(ends.at(-1) ?? 0))];
}

/** Requests that run, by route and how long they have: a bar each. */
export function Bands({ ends_us, routes }: { ends_us: number[]; routes: ActiveRoute[] }) {
  const t = useText();
  const names = bandNames(t, ends_us);
  const most = Math.max(1, ...routes.map((route) => sum(route)));
  return (
    <>
      <ul class="legend band-legend">
        {names.map((name, band) => (
          <li key={name}>
            <i class={`band band-${band}`} />
            {name}
          </li>
        ))}
      </ul>
      <ol class="band-rows">
        {routes.map((route) => (
          <li key={route.route}>
            <span class="band-route">{route.route}</span>
            <span
              class="band-bar"
              role="img"
              aria-label={t.bandsOf(route.route, route.bands.map((count, band) => `${names[band]} ${count}`).join(", "))}
            >
              {route.bands.map(
                (count, band) =>
                  count > 0 && (
                    <span key={band} class={`band band-${band}`} style={{ width: `${(100 * count) / most}%` }} title={names[band]!}>
                      {number(count)}
                    </span>
                  ),
              )}
            </span>
            <strong>{duration(route.slowest_us)}</strong>
          </li>
        ))}
      </ol>
    </>
  );
}

const sum = (route: ActiveRoute) => route.bands.reduce((all, count) => all + count, 0);
