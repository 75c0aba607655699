import type { LinkedFrom, Span } from "../api/types";
import { time } from "../format";
import { useText } from "../i18n";
import { Link } from "../router";
import { Fields } from "./details";

/** Where a span leads, and what leads to it. */
export function Links({ span, linkedFrom }: { span: Span; linkedFrom: LinkedFrom[] }) {
  const t = useText();
  const links = span.links ?? [];
  const back = linkedFrom.filter((link) => link.target === span.span_id);
  return (
    <>
      {links.length > 0 && (
        <>
          <h4>{t.links}</h4>
          <ul class="lines" data-links="to">
            {links.map((link, index) => (
              <li key={index}>
                <Link to={`/transactions/${link.trace_id}?span=${link.span_id}`}>{link.trace_id}</Link>
                <Fields fields={link.attributes} />
              </li>
            ))}
          </ul>
        </>
      )}
      {back.length > 0 && (
        <>
          <h4>{t.linkedFrom}</h4>
          <ul class="lines" data-links="from">
            {back.map((link) => (
              <li key={`${link.trace_id} ${link.span_id}`}>
                <time>{time(link.start_us)}</time>
                <Link to={`/transactions/${link.trace_id}?span=${link.span_id}&at_us=${link.start_us}`}>{link.name}</Link>
                <small>{link.service}</small>
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}
