import { useState } from "preact/hooks";

import { useGet } from "../api/hooks";
import { useText } from "../i18n";
import { Coded, Heads, Panel } from "../ui/parts";
import { helpOf, names, type Schema } from "./place";
import type { Running } from "./types";

/** Settings that are shown at a time. */
const SHOWN = 25;

/** Each setting, what it is, where it comes from and what it is for. */
export function Settings({ running }: { running: Running }) {
  const t = useText();
  const { data: schema } = useGet<Schema>("/api/config/schema");
  const [wanted, setWanted] = useState("");
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  const found = running.settings.filter((setting) =>
    words.length === 0 ? setting.source !== "default" : words.every((word) => setting.path.toLowerCase().includes(word)),
  );
  return (
    <Panel title={t.allSettings}>
      <div class="filters config-actions">
        <label class="field">
          <span>{t.findSetting}</span>
          <input type="search" value={wanted} onInput={(event) => setWanted(event.currentTarget.value)} />
        </label>
      </div>
      {found.length === 0 ? (
        <p class="empty">{t.noSetting}</p>
      ) : (
        <table class="cards-when-narrow">
          <Heads texts={[t.settingName, t.settingValue, t.settingSource, t.settingHelp]} />
          <tbody>
            {found.slice(0, SHOWN).map((setting) => (
              <tr key={setting.path}>
                <td data-label={t.settingName} class="main-cell">
                  <code>{setting.path}</code>
                </td>
                <td data-label={t.settingValue} class="config-value">
                  <code>{JSON.stringify(setting.value)}</code>
                </td>
                <td data-label={t.settingSource}>{setting.profile ? t.fromProfile(setting.profile) : t.sources[setting.source]}</td>
                <td data-label={t.settingHelp} class="config-reason">
                  <span>
                    <Coded text={(schema && helpOf(schema, names(setting.path))?.description) || ""} />
                  </span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {found.length > SHOWN && <p class="note">{t.moreSettings(found.length - SHOWN)}</p>}
    </Panel>
  );
}
