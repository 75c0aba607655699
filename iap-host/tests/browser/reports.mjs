// Reports, and what a transaction is compared with.
import assert from "node:assert/strict";

import { wrong } from "./axe.mjs";

export async function reports({ page, go, shot, address }) {
  await go("/reports");
  await page.getByLabel("Kind").selectOption("capacity");
  await page.getByLabel("Window").selectOption("24 hours");
  await page.getByRole("combobox", { name: "Language" }).selectOption("en");
  const href = await page.getByRole("link", { name: "Read" }).getAttribute("href");
  assert.match(href, /^\/api\/reports\/capacity\?last_s=86400&lang=en&format=html/);
  const report = await (await fetch(new URL(href, address))).text();
  assert.match(report, /<html[\s\S]*Capacity/);
  await page.getByText("None yet. Schedules make them").waitFor();
  await page.getByText("reports.schedules", { exact: true }).waitFor();
  await page.getByLabel("Window").selectOption("between dates");
  assert.equal(await page.getByRole("link", { name: "Read" }).count(), 0, "without a date there is none");
  await page.getByLabel("From").fill("2026-11-01");
  assert.match(await page.getByRole("link", { name: "Read" }).getAttribute("href"), /from=2026-11-01/);
  assert.deepEqual(await wrong(page), []);
  await shot("reports-1280");
  await page.setViewportSize({ width: 390, height: 844 });
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth > innerWidth), false);
  await shot("reports-390");
  await page.setViewportSize({ width: 1280, height: 800 });
}

export async function compared({ page, go, shot, address }) {
  const read = async (path) => (await fetch(new URL(path, address))).json();
  const [failed] = (await read("/api/transactions?errors=true&route=checkout&limit=1")).items;
  await go(`/transactions/${failed.trace_id}?at_us=${failed.start_us}`);
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.getByRole("button", { name: "Copy as curl" }).click();
  await page.getByText("Copied").first().waitFor();
  const curl = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal(curl, `curl --include --request 'POST' 'http://${failed.host}${failed.path}'`);
  await page.getByRole("button", { name: "Compare", exact: true }).click();
  const rows = page.locator(".compare tbody tr");
  await rows.first().waitFor();
  const texts = await rows.allInnerTexts();
  assert.ok(texts.some((text) => /handler/.test(text)) && texts.every((text) => /µs|ms|s|–|0/.test(text)), texts.join("\n"));
  const other = await page.locator(".panel", { has: page.getByRole("heading", { name: "Compared with one that went well" }) }).getByRole("link").getAttribute("href");
  const { summary } = await read(`/api/transactions/${other.split("/").pop()}`);
  assert.deepEqual([summary.route, summary.failed], ["checkout", false]);
  assert.deepEqual(await wrong(page), []);
  await shot("transaction-compared-1280");
}

/** What the overview says of this host, and that a chart has marks. */
export async function state({ page, go, shot }) {
  await go("/");
  const host = page.locator(".host-state");
  await host.getByText("reachable").waitFor();
  await host.getByText(/[\d.]+ cores · [\d.]+ [kMG]B resident/).waitFor();
  await page.locator(".card", { hasText: "Users at once" }).getByText(/this hour \d+, a week ago 0/).waitFor();
  await page.locator(".legend-mark", { hasText: "Platform started" }).first().waitFor();
  await shot("overview-state-1280");
  await go("/sessions");
  await page.getByRole("heading", { name: "Logins at once" }).waitFor();
  await page.getByText("ends the oldest").waitFor();
}
