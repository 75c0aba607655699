// Drives the console in a real browser against a running host: the demo, or one with accounts.
// usage: node console.mjs SUITE CONSOLE_URL SCREENSHOTS CHROMIUM
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { chromium } from "playwright-core";

import { signing } from "./access.mjs";
import { acting } from "./actions.mjs";
import { alerts } from "./alerts.mjs";
import { accessible } from "./axe.mjs";
import { configuring } from "./configuration.mjs";
import { failures, frames, map, outside, scatter, spanGroups, sql, weight } from "./drill.mjs";
import { instances } from "./instances.mjs";
import { large } from "./large.mjs";
import { live, runtime, upstreams } from "./live.mjs";
import { clocks, logs } from "./logs.mjs";
import { again, day } from "./memory.mjs";
import { metrics } from "./metrics.mjs";
import { provided } from "./oidc.mjs";
import { overview } from "./overview.mjs";
import { compared, reports, state } from "./reports.mjs";
import { found, language, narrow, pages, sessions, transactions } from "./views.mjs";

const [suite, address, screenshots, executablePath] = process.argv.slice(2);
mkdirSync(screenshots, { recursive: true });

const SUITES = {
  demo: [overview, state, transactions, compared, reports, large, clocks, logs, pages, metrics, live, runtime, alerts, sessions, found, language, narrow],
  drill: [weight, outside, sql, spanGroups, failures, map, scatter, frames, accessible],
  accounts: [signing, acting, upstreams, configuring],
  provider: [provided],
  instances: [instances],
  memory: [day, again],
};

const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const WIDE = { width: 1280, height: 800 };

const browser = await chromium.launch({ executablePath, args: ARGUMENTS });
try {
  const context = await browser.newContext({ viewport: WIDE, locale: "en-GB" });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const complaints = [];
  page.on("console", (message) => {
    // Reading the canvas back is the test's doing.
    const ours = message.text().includes("willReadFrequently");
    if (["error", "warning"].includes(message.type()) && !ours) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  // What a test provokes on purpose is taken out by name.
  const forgive = (pattern) => {
    const kept = complaints.filter((text) => !pattern.test(text));
    complaints.splice(0, complaints.length, ...kept);
  };
  const world = {
    page,
    forgive,
    address,
    go: (path) => page.goto(new URL(path, address).href),
    shot: async (name) => {
      await page.evaluate(() => document.fonts.ready);
      await page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true });
    },
  };
  for (const check of SUITES[suite]) {
    console.log(`console: ${check.name}`);
    await check(world);
    assert.deepEqual(complaints, [], `${check.name}: the browser's console is silent`);
  }
} finally {
  await browser.close();
}
