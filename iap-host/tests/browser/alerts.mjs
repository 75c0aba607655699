// Rules, what they have found, and silences.
import assert from "node:assert/strict";

import { until } from "./until.mjs";

export async function alerts({ page, go, shot }) {
  await go("/alerts");
  const rules = page.locator("main section").first().locator("tbody tr");
  await until("all rules are listed", async () => (await rules.count()) === 5);
  const payments = rules.filter({ hasText: "payments fail" });
  assert.match(await payments.innerText(), /failed requests above 2 % over 1m/);
  // Some payments fail: the alert begins, with a transaction that shows it.
  await payments.locator(".badge-bad").waitFor({ timeout: 60_000 });
  const events = page.getByRole("region", { name: "What has begun and ended" }).locator("tbody tr");
  const begun = events.filter({ hasText: "payments fail" }).first();
  await begun.waitFor();
  assert.match(await begun.locator("a").first().getAttribute("href"), /^\/transactions\/[0-9a-f]{32}$/);
  await shot("alerts-1280");
  await page.locator(".alert-ask select").first().selectOption("payments fail");
  await page.locator(".alert-ask select").nth(1).selectOption("2h");
  await page.getByLabel("Your name").fill("bora <b>");
  await page.getByLabel("Reason").fill("provider maintenance");
  await page.getByRole("button", { name: "Silence", exact: true }).click();
  const silence = page.locator(".alert-list li").filter({ hasText: "provider maintenance" });
  await silence.getByText("bora <b>").waitFor();
  await shot("alerts-silenced-1280");
  await silence.getByRole("button", { name: "End silence" }).click();
  await page.getByText("Nothing is silenced.").waitFor();
  await page.getByRole("button", { name: "한국어" }).click();
  await page.getByText("1m 동안 오류율 2 % 초과").waitFor();
  await page.getByRole("button", { name: "English" }).click();
}
