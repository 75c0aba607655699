import { usePolled } from "../api/hooks";
import { dateTime } from "../format";
import { useText } from "../i18n";
import { Answer, Coded, Heads, Panel } from "../ui/parts";

interface Certificate {
  names: string[];
  subject: string;
  issuer: string;
  fingerprint: string;
  not_after_ms: number;
  expires_ms: number;
  left_s: number;
  file: string | null;
  default: boolean;
}

interface Certificates {
  tls: boolean;
  certificates: Certificate[];
}

/** Seconds of a day, and days from which on somebody has to look after it. */
const DAY = 86_400;
const SOON = 30;

/** The certificates that clients are shown, and when they end. */
export function CertificatesPanel() {
  const t = useText();
  const loaded = usePolled<Certificates>("/api/certificates", 60_000);
  return (
    <Panel title={t.certificates}>
      <Answer of={loaded}>
        {({ tls, certificates }) =>
          certificates.length === 0 ? (
            <p class="empty">
              <Coded text={tls ? t.unreadableCertificates : t.noTls} />
            </p>
          ) : (
            <table class="cards-when-narrow">
              <Heads texts={[t.certificateNames, t.certificateIssuer, t.certificateEnds, t.certificateFile]} />
              <tbody>
                {certificates.map((one) => (
                  <tr key={one.fingerprint}>
                    <td data-label={t.certificateNames} class="main-cell" title={one.fingerprint}>
                      {one.names.join(", ") || one.subject}
                      {one.default && <span class="dim"> · {t.certificateDefault}</span>}
                    </td>
                    <td data-label={t.certificateIssuer}>{one.issuer}</td>
                    <td data-label={t.certificateEnds} class={one.left_s < SOON * DAY ? "bad-text" : ""}>
                      {dateTime(one.expires_ms)} · {one.left_s < 0 ? t.certificateOver : t.daysLeft(Math.floor(one.left_s / DAY))}
                      {one.expires_ms < one.not_after_ms && ` · ${t.chainEnds}`}
                    </td>
                    <td data-label={t.certificateFile}>{one.file && <code>{one.file}</code>}</td>
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
