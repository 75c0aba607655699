import type { ComponentChildren, TargetedSubmitEvent } from "preact";

import { useText } from "../i18n";
import { Link, setQuery } from "../router";

/** What sessions are found by, as it stands in the address; the names are those of the admin API. */
export const CONDITIONS = ["user", "address", "node", "login", "min_age", "min_idle", "min_bytes"] as const;

export type Conditions = Partial<Record<(typeof CONDITIONS)[number], string>>;

export function readConditions(query: URLSearchParams): Conditions {
  const given = CONDITIONS.map((name) => [name, query.get(name) ?? ""] as const);
  return Object.fromEntries(given.filter(([, value]) => value !== ""));
}

interface Props {
  conditions: Conditions;
  sort: string;
  reload: () => void;
  side: ComponentChildren;
}

export function SessionFilters({ conditions, sort, reload, side }: Props) {
  const t = useText();
  const submit = (event: TargetedSubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    setQuery(Object.fromEntries(CONDITIONS.map((name) => [name, String(data.get(name) ?? "").trim()])));
  };
  const text = (name: (typeof CONDITIONS)[number], label: string, hint?: string) => (
    <label class="field field-short">
      <span>{label}</span>
      <input
        name={name}
        autoComplete="off"
        autoCapitalize="none"
        spellcheck={false}
        placeholder={hint}
        defaultValue={conditions[name] ?? ""}
      />
    </label>
  );
  return (
    <form
      class="filters"
      role="search"
      aria-label={t.sessionFilters}
      onSubmit={submit}
      key={JSON.stringify(conditions)}
    >
      {text("user", t.userFilter)}
      {text("address", t.address, t.addressHint)}
      {text("node", t.node)}
      <label class="field">
        <span>{t.loginState}</span>
        <select name="login">
          {[
            ["", t.loginAny],
            ["true", t.loginYes],
            ["false", t.loginNo],
          ].map(([value, label]) => (
            <option key={value} value={value} selected={value === (conditions.login ?? "")}>
              {label}
            </option>
          ))}
        </select>
      </label>
      {text("min_age", t.minAge, t.timeHint)}
      {text("min_idle", t.minIdle, t.timeHint)}
      {text("min_bytes", t.minSize, t.sizeHint)}
      <button type="submit">{t.search}</button>
      <label class="field only-narrow">
        <span>{t.sortBy}</span>
        <select value={sort} onChange={(event) => setQuery({ sort: event.currentTarget.value })}>
          <option value="" selected={sort === ""}>
            {t.unsorted}
          </option>
          {Object.entries(t.sorts).map(([value, label]) => (
            <option key={value} value={value} selected={value === sort}>
              {label}
            </option>
          ))}
        </select>
      </label>
      <button type="button" onClick={reload}>
        {t.refresh}
      </button>
      {Object.keys(conditions).length > 0 && <Link to="/sessions">{t.reset}</Link>}
      {side}
    </form>
  );
}
