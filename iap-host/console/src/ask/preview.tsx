import { useState } from "preact/hooks";

import { queryString } from "../api/client";
import { useGet } from "../api/hooks";
import type { FactAdvice } from "../api/types";
import { Diff } from "../configuration/diff";
import type { Plan } from "../configuration/types";
import { useText } from "../i18n";
import { Failure, Loading } from "../ui/parts";

/** The value that is advised, as the configuration writes it. */
function advised(advice: FactAdvice): string | null {
  const figure = advice.sentence.figures.find(({ name }) => name !== "route");
  if (typeof figure?.value !== "number") return null;
  return figure.unit === "us" ? `${Math.ceil(figure.value / 1000)}ms` : String(figure.value);
}

/** What advice about a setting would change in the configuration, on demand. */
export function Preview({ advice }: { advice: FactAdvice }) {
  const t = useText();
  const [open, setOpen] = useState(false);
  const value = advised(advice);
  const route = advice.sentence.figures.find(({ name }) => name === "route")?.value;
  if (!advice.config_key || value === null || typeof route !== "string") return null;
  const path = `/api/config/preview${queryString({ key: advice.config_key, value, route })}`;
  return open ? (
    <Shown path={path} />
  ) : (
    <button type="button" onClick={() => setOpen(true)}>
      {t.previewAdvice}
    </button>
  );
}

function Shown({ path }: { path: string }) {
  const t = useText();
  const { data, error } = useGet<Plan>(path);
  if (error) return error.status === 404 ? <p class="dim">{t.noPreview}</p> : <Failure error={error} />;
  return data ? <Diff text={data.diff ?? ""} /> : <Loading />;
}
