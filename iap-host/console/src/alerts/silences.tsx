import { useRef, useState } from "preact/hooks";

import { useMay } from "../access/store";
import { YourName } from "../access/your-name";
import { type ApiError, asApiError, post, remove } from "../api/client";
import type { RuleState, Silence } from "../api/types";
import { dateTime } from "../format";
import { useText } from "../i18n";
import { Failure, Panel } from "../ui/parts";
import { groupText } from ".";

const SPANS = ["30m", "2h", "8h", "1d", "7d"];

/** Who is not to be told of what, and how to ask for it. */
export function Silences({ rules, silences, done }: { rules: RuleState[]; silences: Silence[]; done: () => void }) {
  const t = useText();
  const [failure, setFailure] = useState<ApiError | null>(null);
  const operates = useMay("operate");
  const act = async (action: () => Promise<unknown>) => {
    setFailure(null);
    try {
      await action();
      done();
    } catch (error) {
      setFailure(asApiError(error));
    }
  };
  return (
    <Panel title={t.silences}>
      {silences.length === 0 ? (
        <p class="empty">{t.noSilences}</p>
      ) : (
        <ul class="alert-list">
          {silences.map((silence) => (
            <li key={silence.id}>
              <strong>{silence.rule ?? t.allRules}</strong>
              <span>
                {[groupText(silence.group), silence.by, silence.reason].filter(Boolean).join(" · ")} ·{" "}
                {t.until(dateTime(silence.until_us / 1000))}
              </span>
              {operates && (
                <button type="button" onClick={() => void act(() => remove(`/api/alerts/silences/${silence.id}`))}>
                  {t.endSilence}
                </button>
              )}
            </li>
          ))}
        </ul>
      )}
      {operates && <Ask rules={rules} send={(silence) => void act(() => post("/api/alerts/silences", silence))} />}
      {failure && <Failure error={failure} />}
    </Panel>
  );
}

function Ask({ rules, send }: { rules: RuleState[]; send: (silence: object) => void }) {
  const t = useText();
  const rule = useRef<HTMLSelectElement>(null);
  const span = useRef<HTMLSelectElement>(null);
  const by = useRef<HTMLInputElement>(null);
  const reason = useRef<HTMLInputElement>(null);
  const submit = (event: Event) => {
    event.preventDefault();
    send({ rule: rule.current?.value || null, for: span.current?.value, by: by.current?.value, reason: reason.current?.value });
    if (reason.current) reason.current.value = "";
  };
  return (
    <form class="filters alert-ask" onSubmit={submit}>
      <label class="field">
        <span>{t.rule}</span>
        <select ref={rule}>
          <option value="">{t.allRules}</option>
          {rules.map(({ name }) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <label class="field">
        <span>{t.forHowLong}</span>
        <select ref={span}>
          {SPANS.map((value) => (
            <option key={value} value={value}>
              {value}
            </option>
          ))}
        </select>
      </label>
      <YourName input={by} />
      <label class="field">
        <span>{t.silenceReason}</span>
        <input ref={reason} required maxLength={300} />
      </label>
      <button type="submit">{t.silence}</button>
    </form>
  );
}
