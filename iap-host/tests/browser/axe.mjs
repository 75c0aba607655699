// Every page of the console by the rules of axe-core, in both themes.
import assert from "node:assert/strict";
import { createRequire } from "node:module";

import { until } from "./until.mjs";

const { source } = createRequire(import.meta.url)("axe-core");
const GRAVE = ["serious", "critical"];

/** Where each page is, and what tells that it is there. */
async function pages({ address }) {
  const get = async (path) => (await fetch(new URL(path, address))).json();
  const [transaction] = (await get("/api/transactions?last_s=3600&limit=1&route=search")).items;
  const [statement] = (await get("/api/statements?last_s=3600")).statements;
  const [session] = (await get("/api/sessions?limit=1")).sessions;
  return [
    ["/", ".cards"],
    ["/live", "main table, main .empty, main .panel"],
    ["/incidents", "main tbody, main .empty"],
    ["/alerts", "main .panel"],
    ["/actions", "main .panel, main .empty, main .note"],
    ["/transactions", "main tbody"],
    [`/transactions/${transaction.trace_id}`, "[role=tree]"],
    ["/sql", "main tbody"],
    [`/sql/${statement.id}`, ".bars-wide"],
    ["/spans", "main tbody"],
    ["/errors", ".failures"],
    ["/map", ".map"],
    ["/routes", "main tbody"],
    ["/metrics-explorer", "main .metrics, main .empty"],
    ["/logs", "main tbody"],
    ["/logs?as=lines", ".log-lines"],
    ["/runtime", "main .panel"],
    ["/sessions", "main tbody"],
    [`/sessions/${session.key}`, "main .panel"],
    ["/ask", "main form"],
    ["/reports", "main .panel"],
    ["/access", "main .panel, main .note"],
    ["/configuration", "main .panel, main .note"],
    ["/nowhere", "main .empty"],
  ];
}

/** What is wrong with a page, with the first elements of each. */
export async function wrong(page) {
  await page.evaluate(source);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  const grave = violations.filter(({ impact }) => GRAVE.includes(impact));
  return grave.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => `${node.target} (${node.failureSummary?.split("\n")[1]?.trim()})`).join("; ")}`);
}

export async function accessible(world) {
  const { page, go } = world;
  const found = [];
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    for (const [path, shows] of await pages(world)) {
      await go(path);
      await page.locator(shows).first().waitFor();
      await until("what was asked for", async () => (await page.locator("[aria-busy=true]").count()) === 0);
      for (const text of await wrong(page)) found.push(`${colorScheme} ${path}: ${text}`);
    }
  }
  await page.emulateMedia({ colorScheme: "light", reducedMotion: null });
  assert.deepEqual(found, [], `\n${found.join("\n")}`);
}
