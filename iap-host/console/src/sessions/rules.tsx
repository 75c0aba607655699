import { useMay } from "../access/store";
import { useGet } from "../api/hooks";
import type { Setting } from "../configuration/types";
import { useText } from "../i18n";
import { Link } from "../router";
import { Heads, Panel } from "../ui/parts";

/** Who may be logged in how often at once, and what happens beyond that: for all, and for groups of users. */
export function LoginRules() {
  const t = useText();
  const administers = useMay("administer");
  const { data } = useGet<{ settings: Setting[] }>("/api/config");
  const value = (path: string) => data?.settings.find((setting) => setting.path === path)?.value;
  const rule = (name: string, at: string) => ({ name, most: value(`${at}.max_per_user`), beyond: value(`${at}.on_limit`) });
  const groups = new Set<string>();
  for (const { path } of data?.settings ?? []) {
    const group = /^sessions\.groups(?:\.([^.[]+)|\[([^\]]+)\])\./.exec(path);
    if (group) groups.add(group[0].slice(0, -1));
  }
  const rows = [rule(t.everybody, "sessions.login"), ...[...groups].map((at) => rule(at.replace(/^sessions\.groups[.[]|\]$/g, ""), at))];
  if (rows[0]!.most === undefined) return null;
  return (
    <Panel title={t.loginRules} side={administers && <Link to="/configuration">{t.editRules}</Link>}>
      <table class="cards-when-narrow">
        <Heads texts={[t.ruleFor, t.ruleMost, t.ruleBeyond]} />
        <tbody>
          {rows.map(({ name, most, beyond }) => (
            <tr key={name}>
              <td data-label={t.ruleFor} class="main-cell">
                {name}
              </td>
              <td data-label={t.ruleMost}>{String(most ?? t.none)}</td>
              <td data-label={t.ruleBeyond}>{t.onLimit[String(beyond)] ?? (beyond == null ? t.asEverybody : String(beyond))}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}
