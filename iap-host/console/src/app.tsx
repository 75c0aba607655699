import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { Alerts } from "./alerts";
import { useStatus } from "./api/hooks";
import { Ask } from "./ask";
import { zone } from "./format";
import { LANGUAGES, type Language, language, setLanguage, useText } from "./i18n";
import type { Dictionary } from "./i18n/en";
import { Incidents } from "./incidents";
import { IncidentView } from "./incidents/detail";
import { LiveView } from "./live";
import { Metrics } from "./metrics";
import { Overview } from "./overview";
import { Link, useLocation } from "./router";
import { Routes } from "./routes";
import { Runtime } from "./runtime";
import { SessionView } from "./sessions/detail";
import { Sessions } from "./sessions";
import { TransactionView } from "./transaction";
import { Transactions } from "./transactions";
import { Icon, type IconName } from "./ui/icons";
import { Segments } from "./ui/parts";

type Section = "overview" | "live" | "incidents" | "alerts" | "transactions" | "routes" | "metrics" | "runtime" | "sessions" | "ask";

const SECTIONS: { section: Section; to: string; icon: IconName }[] = [
  { section: "overview", to: "/", icon: "pulse" },
  { section: "live", to: "/live", icon: "bolt" },
  { section: "incidents", to: "/incidents", icon: "alert" },
  { section: "alerts", to: "/alerts", icon: "bell" },
  { section: "transactions", to: "/transactions", icon: "list" },
  { section: "routes", to: "/routes", icon: "fork" },
  { section: "metrics", to: "/metrics-explorer", icon: "chart" },
  { section: "runtime", to: "/runtime", icon: "gauge" },
  { section: "sessions", to: "/sessions", icon: "people" },
  { section: "ask", to: "/ask", icon: "question" },
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
    if (head === "runtime" && !id) return { section: head, title: (t) => t.runtime, show: () => <Runtime /> };
    if (head === "incidents" && key)
      return { section: head, title: (t) => t.incident, show: () => <IncidentView key={key} id={key} /> };
    if (head === "alerts" && !id) return { section: head, title: (t) => t.alerts, show: () => <Alerts /> };
    if (head === "incidents") return { section: head, title: (t) => t.incidents, show: () => <Incidents /> };
    if (head === "transactions" && key)
      return { section: head, title: (t) => t.transaction, show: () => <TransactionView key={key} id={key} /> };
    if (head === "transactions") return { section: head, title: (t) => t.transactions, show: () => <Transactions /> };
    if (head === "routes" && !id) return { section: head, title: (t) => t.routes, show: () => <Routes /> };
    if (head === "metrics-explorer" && !id) return { section: "metrics", title: (t) => t.metrics, show: () => <Metrics /> };
    if (head === "sessions" && key)
      return { section: head, title: (t) => t.session, show: () => <SessionView key={key} id={key} /> };
    if (head === "sessions") return { section: head, title: (t) => t.sessions, show: () => <Sessions /> };
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
  const t = useText();
  const { path } = useLocation();
  const main = useRef<HTMLElement>(null);
  const shown = useRef(path);
  const current = view(path);
  const title = current.title(t);

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
      <a class="skip" href="#main">
        {t.skip}
      </a>
      <Navigation section={current.section} path={path} />
      <main id="main" ref={main} tabIndex={-1}>
        <h1>{title}</h1>
        {current.show()}
      </main>
    </>
  );
}

function Navigation({ section, path }: { section: Section | null; path: string }) {
  const t = useText();
  const status = useStatus();
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
        {SECTIONS.map((entry) => (
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
        <p>{t.timesIn(zone())}</p>
        {status?.facts && <p>{t.version(status.facts.version)}</p>}
        {status?.ready === false && <p class="bad-text">{t.notReady}</p>}
      </footer>
    </div>
    </aside>
  );
}
