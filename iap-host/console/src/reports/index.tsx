import { useState } from "preact/hooks";

import { useMay } from "../access/store";
import { queryString } from "../api/client";
import { useGet } from "../api/hooks";
import type { Setting } from "../configuration/types";
import { bytes } from "../format";
import { language, useText } from "../i18n";
import { Link } from "../router";
import { Answer, Coded, Heads, Panel } from "../ui/parts";

const KINDS = ["executive", "incident", "capacity", "inspection"] as const;
const WINDOWS = [86_400, 604_800, 2_678_400] as const;

interface Kept {
  file: string;
  bytes: number;
}

/** Reports: one that is made now, those that were made by themselves, and when that happens. */
export function Reports() {
  return (
    <>
      <Make />
      <KeptReports />
      <Schedules />
    </>
  );
}

/** A report is a page of its own, which the browser prints. */
function Make() {
  const t = useText();
  const [kind, setKind] = useState<string>(KINDS[0]);
  const [window_s, setWindow] = useState<string>(String(WINDOWS[1]));
  const [from, setFrom] = useState("");
  const [to, setTo] = useState("");
  const [lang, setLang] = useState<string>(language());
  const dated = window_s === "dates";
  const span = dated ? { from, to: to || null } : { last_s: window_s };
  const address = (format: string) => `/api/reports/${kind}${queryString({ ...span, lang, format, base: location.origin })}`;
  const ready = !dated || from !== "";
  return (
    <Panel title={t.makeReport}>
      <form class="filters config-actions" onSubmit={(event) => event.preventDefault()}>
        <Choice label={t.reportKind} value={kind} set={setKind} choices={KINDS.map((one) => [one, t.reportKinds[one]!])} />
        <Choice
          label={t.window}
          value={window_s}
          set={setWindow}
          choices={[...WINDOWS.map((one) => [String(one), t.ranges[one]!] as [string, string]), ["dates", t.betweenDates]]}
        />
        {dated && (
          <>
            <label class="field">
              <span>{t.reportFrom}</span>
              <input type="date" required value={from} onInput={(event) => setFrom(event.currentTarget.value)} />
            </label>
            <label class="field">
              <span>{t.reportTo}</span>
              <input type="date" value={to} onInput={(event) => setTo(event.currentTarget.value)} />
            </label>
          </>
        )}
        <Choice
          label={t.reportLanguage}
          value={lang}
          set={setLang}
          choices={[
            ["ko", "한국어"],
            ["en", "English"],
          ]}
        />
        {ready && (
          <span class="report-links">
            <a class="button primary" href={address("html")} target="_blank" rel="noopener">
              {t.readReport}
            </a>
            <a class="button" href={address("md")} download={`${kind}.md`}>
              Markdown
            </a>
          </span>
        )}
      </form>
      <p class="note">{t.printHint}</p>
    </Panel>
  );
}

interface ChoiceProps {
  label: string;
  value: string;
  set: (value: string) => void;
  choices: [string, string][];
}

function Choice({ label, value, set, choices }: ChoiceProps) {
  return (
    <label class="field">
      <span>{label}</span>
      <select value={value} onChange={(event) => set(event.currentTarget.value)}>
        {choices.map(([one, text]) => (
          <option key={one} value={one}>
            {text}
          </option>
        ))}
      </select>
    </label>
  );
}

function KeptReports() {
  const t = useText();
  const kept = useGet<{ reports: Kept[] }>("/api/reports");
  return (
    <Panel title={t.keptReports}>
      <Answer of={kept}>
        {({ reports }) =>
          reports.length === 0 ? (
            <p class="empty">{t.noReports}</p>
          ) : (
            <table class="cards-when-narrow">
              <Heads texts={[t.reportFile, t.reportSize]} />
              <tbody>
                {reports.map((one) => (
                  <tr key={one.file}>
                    <td data-label={t.reportFile} class="main-cell">
                      <a href={`/api/reports/kept/${encodeURIComponent(one.file)}`} target="_blank" rel="noopener">
                        {one.file}
                      </a>
                    </td>
                    <td data-label={t.reportSize}>{bytes(one.bytes)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          )
        }
      </Answer>
    </Panel>
  );
}

/** Schedules are settings: who may writes them where all settings are. */
function Schedules() {
  const t = useText();
  const administers = useMay("administer");
  const config = useGet<{ settings: Setting[] }>("/api/config");
  return (
    <Panel title={t.reportSchedules}>
      <Answer of={config}>
        {({ settings }) => {
          const found = schedules(settings);
          return (
            <>
              {found.length === 0 ? (
                <p class="empty">
                  <Coded text={t.noSchedules} />
                </p>
              ) : (
                <table class="cards-when-narrow">
                  <Heads texts={[t.scheduleName, t.reportKind, t.schedulePeriod, t.scheduleAt, t.reportLanguage, t.scheduleChannels]} />
                  <tbody>
                    {found.map(({ name, of }) => (
                      <tr key={name}>
                        <td data-label={t.scheduleName} class="main-cell">
                          {name}
                        </td>
                        <td data-label={t.reportKind}>{t.reportKinds[of("kind")] ?? of("kind")}</td>
                        <td data-label={t.schedulePeriod}>{t.periods[of("period")] ?? of("period")}</td>
                        <td data-label={t.scheduleAt}>{of("at")}</td>
                        <td data-label={t.reportLanguage}>{of("language")}</td>
                        <td data-label={t.scheduleChannels}>{of("notify") || t.none}</td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              )}
              {administers && (
                <p class="note">
                  <Link to="/configuration">{t.editSchedules}</Link>
                </p>
              )}
            </>
          );
        }}
      </Answer>
    </Panel>
  );
}

/** `reports.schedules[NAME].kind` and the like, together again. */
function schedules(settings: Setting[]): { name: string; of: (field: string) => string }[] {
  const by = new Map<string, Map<string, string>>();
  for (const { path, value } of settings) {
    const [, name, field] = /^reports\.schedules\[([^\]]+)\]\.(\w+)$/.exec(path) ?? [];
    if (!name || !field) continue;
    const fields = by.get(name) ?? new Map<string, string>();
    fields.set(field, Array.isArray(value) ? value.join(", ") : String(value));
    by.set(name, fields);
  }
  return [...by].map(([name, fields]) => ({ name, of: (field) => fields.get(field) ?? "" }));
}
