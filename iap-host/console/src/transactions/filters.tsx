import type { TargetedSubmitEvent } from "preact";

import { time } from "../format";
import { useText } from "../i18n";
import { Link, setQuery } from "../router";
import { Segments, WindowSelect } from "../ui/parts";
import { RouteField } from "../ui/route-field";
import type { Filter } from ".";

interface Props {
  filter: Filter;
  filtered: boolean;
  reload: () => void;
}

export function Filters({ filter, filtered, reload }: Props) {
  const t = useText();
  const submit = (event: TargetedSubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    setQuery({ user: String(data.get("user") ?? "").trim(), min_ms: String(data.get("min_ms") ?? "").trim() });
  };
  const key = `${filter.user} ${filter.min_ms}`;
  return (
    <form class="filters" role="search" onSubmit={submit} key={key}>
      <WindowSelect seconds={filter.last_s} choose={(last_s) => setQuery({ last_s, from_us: null, to_us: null, area: null })} />
      {filter.fixed && <span class="chip">{t.fixedWindow(time(filter.fixed.from_us), time(filter.fixed.to_us))}</span>}
      <RouteField route={filter.route} />
      <label class="field field-short">
        <span>{t.minDuration}</span>
        <input name="min_ms" type="number" min="0" step="any" inputMode="decimal" defaultValue={filter.min_ms} />
      </label>
      <label class="field field-short">
        <span>{t.user}</span>
        <input name="user" autoComplete="off" spellcheck={false} defaultValue={filter.user} />
      </label>
      <button type="submit">{t.apply}</button>
      <label class="check">
        <input
          type="checkbox"
          checked={filter.errors}
          onChange={(event) => setQuery({ errors: event.currentTarget.checked })}
        />
        {t.errorsOnly}
      </label>
      <Segments
        label={t.order}
        value={filter.order}
        choices={[
          { value: "newest", text: t.newest },
          { value: "slowest", text: t.slowest },
        ]}
        choose={(order) => setQuery({ order })}
      />
      <button type="button" onClick={reload}>
        {t.refresh}
      </button>
      {filter.service && <span class="chip">{`${t.service}: ${filter.service}`}</span>}
      {filter.session && <span class="chip">{t.ofSession(filter.session)}</span>}
      {filtered && <Link to="/transactions">{t.reset}</Link>}
    </form>
  );
}
