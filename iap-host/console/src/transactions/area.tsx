import type { TargetedSubmitEvent } from "preact";

import type { WindowUs } from "../api/drill";
import { useText } from "../i18n";
import type { Area } from "../overview/plot";

/** An area as it stands in the address: four numbers. */
export const writeArea = (area: Area): string =>
  [area.from_us, area.to_us, area.low_us, area.high_us].map((value) => Math.max(0, Math.round(value))).join("-");

export function readArea(text: string | null): Area | null {
  const numbers = (text ?? "").split("-").map(Number);
  const [from_us, to_us, low_us, high_us] = numbers;
  const whole = numbers.length === 4 && numbers.every((value) => Number.isSafeInteger(value) && value >= 0);
  return whole && from_us! < to_us! ? { from_us: from_us!, to_us: to_us!, low_us: low_us!, high_us: high_us! } : null;
}

/** A time of this browser's zone, as inputs have it. */
function local(us: number): string {
  const at = new Date(us / 1000);
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

interface Props {
  window: WindowUs;
  chosen: Area | null;
  choose: (area: Area) => void;
}

/** The same as drawing an area, by numbers. */
export function AreaForm({ window, chosen, choose }: Props) {
  const t = useText();
  const submit = (event: TargetedSubmitEvent<HTMLFormElement>) => {
    event.preventDefault();
    const data = new FormData(event.currentTarget);
    const text = (name: string) => String(data.get(name) ?? "").trim();
    const moment = (name: string, usual: number) => (text(name) ? new Date(text(name)).getTime() * 1000 : usual);
    const [from_us, to_us] = [moment("from", window.from_us), moment("to", window.to_us)];
    const high = text("high") ? Number(text("high")) * 1000 : Number.MAX_SAFE_INTEGER;
    // An input has whole seconds.
    if (from_us < to_us + 1e6) choose({ from_us, to_us: to_us + 1e6, low_us: Number(text("low")) * 1000, high_us: high });
  };
  const shown = chosen ?? { ...window, low_us: 0, high_us: Number.MAX_SAFE_INTEGER };
  const high = shown.high_us < Number.MAX_SAFE_INTEGER ? Math.round(shown.high_us / 1000) : "";
  return (
    <details class="area">
      <summary>{t.chooseArea}</summary>
      <form class="area-form" onSubmit={submit} key={writeArea(shown)}>
        <label class="field">
          <span>{t.areaFrom}</span>
          <input name="from" type="datetime-local" step="1" defaultValue={local(shown.from_us)} />
        </label>
        <label class="field">
          <span>{t.areaTo}</span>
          <input name="to" type="datetime-local" step="1" defaultValue={local(shown.to_us)} />
        </label>
        <label class="field field-short">
          <span>{t.areaLow}</span>
          <input name="low" type="number" min="0" step="any" defaultValue={Math.round(shown.low_us / 1000)} />
        </label>
        <label class="field field-short">
          <span>{t.areaHigh}</span>
          <input name="high" type="number" min="0" step="any" defaultValue={high} />
        </label>
        <button type="submit">{t.apply}</button>
      </form>
    </details>
  );
}
