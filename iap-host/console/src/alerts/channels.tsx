import { useState } from "preact/hooks";

import { useMay } from "../access/store";
import { ApiError, post } from "../api/client";
import type { ChannelStatus } from "../api/types";
import { number } from "../format";
import { useText } from "../i18n";
import { Panel } from "../ui/parts";

/** The channels, what became of their messages, and a test of each. */
export function Channels({ channels, done }: { channels: Record<string, ChannelStatus>; done: () => void }) {
  const t = useText();
  const operates = useMay("operate");
  const [told, setTold] = useState<Record<string, string>>({});
  const test = async (name: string) => {
    setTold((old) => ({ ...old, [name]: t.sending }));
    let text: string;
    try {
      const answer = await post<{ sent: boolean; error?: string }>(`/api/alerts/channels/${encodeURIComponent(name)}/test`, null);
      text = answer.sent ? t.testSent : (answer.error ?? t.noAnswer);
    } catch (error) {
      text = error instanceof ApiError ? t.failed(error.status, error.detail) : t.noAnswer;
    }
    setTold((old) => ({ ...old, [name]: text }));
    done();
  };
  const names = Object.entries(channels);
  return (
    <Panel title={t.channels}>
      {names.length === 0 ? (
        <p class="empty">{t.noChannels}</p>
      ) : (
        <ul class="alert-list">
          {names.map(([name, status]) => (
            <li key={name}>
              <strong>{name}</strong>
              <span>
                {t.channelCounts(number(status.sent), number(status.failed + status.dropped), number(status.waiting))}
                {status.last_error && <span class="bad-text"> {status.last_error}</span>}
              </span>
              {operates && (
                <button type="button" onClick={() => void test(name)}>
                  {t.sendTest}
                </button>
              )}
              {told[name] && <span role="status">{told[name]}</span>}
            </li>
          ))}
        </ul>
      )}
    </Panel>
  );
}
