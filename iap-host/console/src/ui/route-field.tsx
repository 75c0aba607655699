import { useStatus } from "../api/hooks";
import { useText } from "../i18n";
import { setQuery } from "../router";

/** Chooses a route, into the address; one that is not configured any more stays to be chosen. */
export function RouteField({ route }: { route: string }) {
  const t = useText();
  const routes = useStatus()?.facts?.routes.map((known) => known.name) ?? [];
  const names = route && !routes.includes(route) ? [...routes, route] : routes;
  return (
    <label class="field">
      <span>{t.route}</span>
      <select value={route} onChange={(event) => setQuery({ route: event.currentTarget.value })}>
        <option value="">{t.anyRoute}</option>
        {names.map((name) => (
          <option key={name} value={name} selected={name === route}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}
