import type { RefObject } from "preact";

import { useText } from "../i18n";
import { useAccess } from "./store";

/** Asks under which name something is done, unless it is known who does it. */
export function YourName({ input }: { input: RefObject<HTMLInputElement | null> }) {
  const t = useText();
  const caller = useAccess().access?.caller;
  if (caller && caller.via !== "local") return null;
  return (
    <label class="field">
      <span>{t.yourName}</span>
      <input ref={input} required maxLength={100} />
    </label>
  );
}
