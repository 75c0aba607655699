import { useState } from "preact/hooks";

import { useText } from "../i18n";
import { Icon } from "./icons";

/** A button that copies a text, which may have to be fetched first, and says whether it has. */
export function Copy({ label, text }: { label: string; text: () => string | Promise<string> }) {
  const t = useText();
  const [said, setSaid] = useState<string | null>(null);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(await text());
      setSaid(t.copied);
    } catch {
      // Pages without TLS on another machine have no clipboard.
      setSaid(t.copyFailed);
    }
  };
  return (
    <>
      <span role="status">{said}</span>
      <button type="button" onClick={() => void copy()}>
        <Icon name="copy" /> {label}
      </button>
    </>
  );
}
