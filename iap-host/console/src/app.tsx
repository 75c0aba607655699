import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { AccessView } from "./access";
import { SignIn } from "./access/sign-in";
import { type Access, readAccess, type Right, signOut, useAccess } from "./access/store";
import { Actions } from "./actions";
import { Alerts } from "./alerts";
import type { ApiError } from "./api/client";
import { useStatus } from "./api/hooks";
import { Ask } from "./ask";
import { Configuration } from "./configuration";
import { zone } from "./format";
import { LANGUAGES, type Language, language, setLanguage, useText } from "./i18n";
import type { Dictionary } from "./i18n/en";
import { Failures } from "./failures";
import { Incidents } from "./incidents";
import { IncidentView } from "./incidents/detail";
import { LiveView } from "./live";
import { LogsView } from "./logs";
import { ServiceMap } from "./map";
import { Metrics } from "./metrics";
import { Overview } from "./overview";
import { Reports } from "./reports";
import { Link, useLocation } from "./router";
import { Routes } from "./routes";
import { Runtime } from "./runtime";
import { SessionView } from "./sessions/detail";
import { Sessions } from "./sessions";
import { Spans } from "./spans";
import { Statements } from "./statements";
import { StatementView } from "./statements/detail";
import { TransactionView } from "./transaction";
import { Transactions } from "./transactions";
import { Icon, type IconName } from "./ui/icons";
import { Failure, Segments } from "./ui/parts";

type Section = "overview" | "live" | "incidents" | "alerts" | "transactions" | "sql" | "spanGroups" | "failures" | "map" | "routes" | "metrics" | "logs" | "runtime" | "sessions" | "ask" | "reports" | "access" | "actions" | "configuration";

/** The sections, and what one needs to see each. */
const SECTIONS: { section: Section; to: string; icon: IconName; right: Right }[] = [
  { section: "overview", to: "/", icon: "pulse", right: "view" },
  { section: "live", to: "/live", icon: "bolt", right: "detail" },
  { section: "incidents", to: "/incidents", icon: "alert", right: "view" },
  { section: "alerts", to: "/alerts", icon: "bell", right: "view" },
  { section: "actions", to: "/actions", icon: "act", right: "view" },
  { section: "transactions", to: "/transactions", icon: "list", right: "detail" },
  { section: "sql", to: "/sql", icon: "database", right: "detail" },
  { section: "spanGroups", to: "/spans", icon: "layers", right: "detail" },
  { section: "failures", to: "/errors", icon: "cross", right: "detail" },
  { section: "map", to: "/map", icon: "map", right: "view" },
  { section: "routes", to: "/routes", icon: "fork", right: "view" },
  { section: "metrics", to: "/metrics-explorer", icon: "chart", right: "view" },
  { section: "logs", to: "/logs", icon: "lines", right: "detail" },
  { section: "runtime", to: "/runtime", icon: "gauge", right: "view" },
  { section: "sessions", to: "/sessions", icon: "people", right: "person" },
  { section: "ask", to: "/ask", icon: "question", right: "detail" },
  { section: "reports", to: "/reports", icon: "page", right: "detail" },
  { section: "configuration", to: "/configuration", icon: "sliders", right: "view" },
  { section: "access", to: "/access", icon: "key", right: "view" },
];

interface View {
  section: Section | null;
  title: (t: Dictionary) => string;
  show: () => VNode;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function view(path: string): View {
  const [head = "", id = "", more] = path.split("/").slice(1);
  const key = decoded(id);
  if (more === undefined) {
    if (head === "" && !id) return { section: "overview", title: (t) => t.overview, show: () => <Overview /> };
    if (head === "live" && !id) return { section: head, title: (t) => t.live, show: () => <LiveView /> };
    if (head === "logs" && !id) return { section: head, title: (t) => t.logs, show: () => <LogsView /> };
    if (head === "runtime" && !id) return { section: head, title: (t) => t.runtime, show: () => <Runtime /> };
    if (head === "incidents" && key)
      return { section: head, title: (t) => t.incident, show: () => <IncidentView key={key} id={key} /> };
    if (head === "alerts" && !id) return { section: head, title: (t) => t.alerts, show: () => <Alerts /> };
    if (head === "incidents") return { section: head, title: (t) => t.incidents, show: () => <Incidents /> };
    if (head === "transactions" && key)
      return { section: head, title: (t) => t.transaction, show: () => <TransactionView key={key} id={key} /> };
    if (head === "transactions") return { section: head, title: (t) => t.transactions, show: () => <Transactions /> };
    if (head === "sql" && key) return { section: head, title: (t) => t.statement, show: () => <StatementView key={key} id={key} /> };
    if (head === "sql") return { section: head, title: (t) => t.sql, show: () => <Statements /> };
    if (head === "spans" && !id) return { section: "spanGroups", title: (t) => t.spanGroups, show: () => <Spans /> };
    if (head === "errors" && !id) return { section: "failures", title: (t) => t.failures, show: () => <Failures /> };
    if (head === "map" && !id) return { section: head, title: (t) => t.map, show: () => <ServiceMap /> };
    if (head === "routes" && !id) return { section: head, title: (t) => t.routes, show: () => <Routes /> };
    if (head === "metrics-explorer" && !id) return { section: "metrics", title: (t) => t.metrics, show: () => <Metrics /> };
    if (head === "sessions" && key)
      return { section: head, title: (t) => t.session, show: () => <SessionView key={key} id={key} /> };
    if (head === "sessions") return { section: head, title: (t) => t.sessions, show: () => <Sessions /> };
    if (head === "actions" && !id) return { section: head, title: (t) => t.actions, show: () => <Actions /> };
    if (head === "configuration" && !id) return { section: head, title: (t) => t.configuration, show: () => <Configuration /> };
    if (head === "reports" && !id) return { section: head, title: (t) => t.reports, show: () => <Reports /> };
    if (head === "access" && !id) return { section: head, title: (t) => t.access, show: () => <AccessView /> };
    if (head === "sign-in" && key) return { section: null, title: (t) => t.signIn, show: () => <SignIn /> };
    if (head === "ask" && !id) return { section: head, title: (t) => t.ask, show: () => <Ask /> };
  }
  return { section: null, title: (t) => t.notFound, show: () => <Missing /> };
}

function Missing() {
  const t = useText();
  return (
    <div class="empty">
      <strong>{t.notFound}</strong>
      <p>
        <Link to="/">{t.toOverview}</Link>
      </p>
    </div>
  );
}

export function App() {
  const { access, error } = useAccess();
  useEffect(() => void readAccess(), []);
  const isKnown = access?.caller != null;
  return (
    <>
      <a class="skip" href="#main">
        {useText().skip}
      </a>
      {access || error ? <Shell access={access} error={error} known={isKnown} /> : <main id="main" aria-busy="true" />}
    </>
  );
}

/** Navigation and a view; or the way in, for somebody who is not known. */
function Shell({ access, error, known }: { access: Access | null; error: ApiError | null; known: boolean }) {
  const t = useText();
  const { path } = useLocation();
  const main = useRef<HTMLElement>(null);
  const shown = useRef(path);
  const current = view(path);
  const asks = access !== null && !known;
  const title = asks ? t.signIn : current.title(t);

  useEffect(() => {
    document.title = `${title} · iap`;
  }, [title]);
  useEffect(() => {
    // A new view takes the focus, as a new page would.
    if (shown.current !== path) main.current?.focus({ preventScroll: true });
    shown.current = path;
  }, [path]);

  return (
    <>
      <Navigation section={current.section} path={path} />
      <main id="main" ref={main} tabIndex={-1}>
        <h1>{title}</h1>
        {access ? known ? <Allowed section={current.section}>{current.show()}</Allowed> : <SignIn /> : null}
        {!access && error && <Failure error={error} retry={() => void readAccess()} />}
      </main>
    </>
  );
}

/** A view, for those who may see it. */
function Allowed({ section, children }: { section: Section | null; children: VNode }) {
  const t = useText();
  const needed = SECTIONS.find((entry) => entry.section === section)?.right ?? "view";
  const rights = useAccess().access?.caller?.rights ?? [];
  return rights.includes(needed) ? children : <p class="note">{t.notAllowed}</p>;
}

function Navigation({ section, path }: { section: Section | null; path: string }) {
  const t = useText();
  const rights = useAccess().access?.caller?.rights ?? [];
  const [open, setOpen] = useState(false);
  useEffect(() => setOpen(false), [path]);
  return (
    <aside class="side-edge">
    <div class={`side ${open ? "side-open" : ""}`}>
      <div class="brand">
        <Link to="/" class="brand-name" label={`iap · ${t.product}`}>
          <Icon name="pulse" />
          <span>iap</span>
        </Link>
        <button type="button" class="menu" aria-expanded={open} aria-controls="nav" onClick={() => setOpen(!open)}>
          <Icon name="menu" />
          <span>{t.menu}</span>
        </button>
      </div>
      <nav id="nav" aria-label={t.navigation}>
        {SECTIONS.filter((entry) => rights.includes(entry.right)).map((entry) => (
          <Link key={entry.section} to={entry.to} class="nav-link" current={entry.section === section}>
            <Icon name={entry.icon} />
            {t[entry.section]}
          </Link>
        ))}
      </nav>
      <footer class="side-foot">
        <Segments<Language>
          label={t.chooseLanguage}
          value={language()}
          choices={(Object.keys(LANGUAGES) as Language[]).map((value) => ({ value, text: LANGUAGES[value].own }))}
          choose={setLanguage}
        />
        <Who />
        <p>{t.timesIn(zone())}</p>
        {rights.includes("view") && <Version />}
      </footer>
    </div>
    </aside>
  );
}

/** Who this is, and the way out. */
function Who() {
  const t = useText();
  const caller = useAccess().access?.caller;
  if (!caller || caller.via === "local") return null;
  return (
    <p class="side-who">
      <span>
        {caller.name} · {t.roles[caller.role] ?? caller.role}
      </span>
      {caller.sign_in ? (
        <button type="button" class="link" onClick={() => void signOut()}>
          {t.signOut}
        </button>
      ) : (
        <Link to="/access">{t.signIn}</Link>
      )}
    </p>
  );
}

function Version() {
  const t = useText();
  const status = useStatus();
  return (
    <>
      {status?.facts && <p>{t.version(status.facts.version)}</p>}
      {status?.ready === false && <p class="bad-text">{t.notReady}</p>}
    </>
  );
}
