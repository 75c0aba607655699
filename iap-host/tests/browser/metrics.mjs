// Metrics: from an application's report to a chart by groups.
import assert from "node:assert/strict";

import { until } from "./until.mjs";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";

/** Sends what an application would. */
async function report(otlp) {
  const now = Date.now();
  const nanos = (ms) => `${BigInt(Math.round(ms)) * 1_000_000n}`;
  const points = ["at", "kr"].flatMap((country, which) =>
    [4, 3, 2, 1].map((ago) => ({
      attributes: [{ key: "country", value: { stringValue: country } }],
      startTimeUnixNano: nanos(now - 60_000),
      timeUnixNano: nanos(now - ago * 10_000),
      asInt: `${(5 - ago) * 100 * (which + 1)}`,
    })),
  );
  const exemplar = { timeUnixNano: nanos(now - 6_000), asDouble: 21.25, traceId: TRACE, spanId: "00f067aa0ba902b7" };
  const gauge = { dataPoints: [{ timeUnixNano: nanos(now - 5_000), asDouble: 21.5, exemplars: [exemplar] }] };
  const sum = { aggregationTemporality: 2, isMonotonic: true, dataPoints: points };
  const resource = { attributes: [{ key: "service.name", value: { stringValue: "shop-app" } }] };
  const metrics = [
    { name: "orders", unit: "{order}", description: "Orders taken.", sum },
    { name: "temperature", gauge },
  ];
  const body = JSON.stringify({ resourceMetrics: [{ resource, scopeMetrics: [{ metrics }] }] });
  const headers = { "content-type": "application/json" };
  const answer = await fetch(`http://${otlp}/v1/metrics`, { method: "POST", headers, body });
  assert.equal(await answer.text(), "{}");
}

export async function metrics({ page, go, shot, address }) {
  await go("/metrics-explorer");
  const status = await (await fetch(new URL("/api/status", address))).json();
  await report(status.facts.addresses.otlp);
  await page.getByRole("button", { name: "Refresh" }).click();
  await page.getByRole("button", { name: /^orders/ }).click();
  await page.getByRole("img", { name: "orders, rate: 1 line" }).waitFor();
  await page.getByLabel("Group by").selectOption("country");
  await page.getByRole("img", { name: "orders, rate: 2 lines" }).waitFor();
  await shot("metrics-1280");
  // The rates were 10 and 20 a second.
  await until("the values of both groups", async () => {
    const plot = page.locator(".metric .uplot .u-over");
    await plot.hover({ position: { x: (await plot.boundingBox()).width * 0.92, y: 40 } });
    const legend = await page.locator(".metric .legend").innerText();
    return /at\s+10\b/.test(legend) && /kr\s+20\b/.test(legend);
  });
  await page.getByLabel("Only where").fill("country=kr");
  await page.getByLabel("Only where").press("Tab");
  await page.getByRole("img", { name: "orders, rate: 1 line" }).waitFor();
  await page.getByLabel("Search metrics").fill("temp");
  await page.locator(".metric-list li").filter({ hasText: "orders" }).waitFor({ state: "detached" });
  await page.getByRole("button", { name: /^temperature/ }).click();
  await page.getByRole("img", { name: "temperature, avg: 1 line" }).waitFor();
  await page.waitForURL(/name=temperature/);
  assert.match(await page.locator(".metric .legend").innerText(), /avg/);
  // From a value to where it was measured.
  const exemplar = page.locator(".exemplars").getByRole("link", { name: "21.25" });
  assert.match(await exemplar.getAttribute("href"), new RegExp(`^/transactions/${TRACE}\\?span=00f067aa0ba902b7&at_us=\\d+$`));
}
