import { render } from "preact";

import { App } from "./app";
import { language } from "./i18n";
import "uplot/dist/uPlot.min.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/parts.css";
import "./styles/ask.css";
import "./styles/overview.css";
import "./styles/transaction.css";
import "./styles/sessions.css";
import "./styles/metrics.css";
import "./styles/incidents.css";
import "./styles/alerts.css";
import "./styles/live.css";
import "./styles/reports.css";
import "./styles/access.css";
import "./styles/actions.css";
import "./styles/drill.css";
import "./styles/configuration.css";
import "./styles/narrow.css";

document.documentElement.lang = language();
render(<App />, document.getElementById("app")!);
