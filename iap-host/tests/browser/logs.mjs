// Log lines as what they say and one by one; a trace of clocks that disagree.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";

import { until } from "./until.mjs";

export async function logs({ page, go, shot }) {
  await go("/logs");
  const pattern = page.getByRole("button", { name: "searched", exact: true });
  await pattern.waitFor();
  await shot("logs-1280");
  await pattern.click();
  await page.waitForURL(/as=lines/);
  const lines = page.locator(".log-lines li");
  await lines.first().waitFor();
  for (const line of await lines.all()) assert.match(await line.innerText(), /searched/);
  await shot("logs-lines-1280");
  await lines.first().getByRole("link", { name: "Transaction" }).click();
  await page.getByRole("tree").waitFor();
  await go("/logs?text=<img src=x onerror=alert(1)>");
  await page.getByText("No log lines").waitFor();
  await page.getByRole("button", { name: "Show all" }).click();
  await pattern.waitFor();
}

/** A call to a service whose clock is a minute ahead. */
function skewed(traceId) {
  const start = BigInt(Date.now() - 2000) * 1_000_000n;
  const id = () => randomBytes(8).toString("hex");
  const [root, call, served] = [id(), id(), id()];
  const span = (spanId, parentSpanId, name, kind, from, ms) => ({
    traceId,
    spanId,
    parentSpanId,
    name,
    kind,
    startTimeUnixNano: String(from),
    endTimeUnixNano: String(from + BigInt(ms) * 1_000_000n),
  });
  const of = (name, spans) => ({
    resource: { attributes: [{ key: "service.name", value: { stringValue: name } }] },
    scopeSpans: [{ spans }],
  });
  const ahead = start + 60_000_000_000n + 20_000_000n;
  const here = [span(root, undefined, "GET /basket", 2, start, 100), span(call, root, "ask the stock", 3, start + 10_000_000n, 80)];
  return { resourceSpans: [of("storefront", here), of("stock", [span(served, call, "GET /stock", 2, ahead, 60)])] };
}

export async function clocks({ page, go, shot, address }) {
  const traceId = randomBytes(16).toString("hex");
  const { facts } = await (await page.request.get(new URL("/api/status", address).href)).json();
  const sent = await page.request.post(`http://${facts.addresses.otlp}/v1/traces`, { data: skewed(traceId) });
  assert.equal(sent.status(), 200);
  await until("the trace is kept", async () => {
    const answer = await page.request.get(new URL(`/api/transactions/${traceId}`, address).href);
    return answer.status() === 200 && (await answer.json()).span_count === 3;
  });
  await go(`/transactions/${traceId}`);
  const served = page.getByRole("treeitem", { name: /GET \/stock/ });
  await served.waitFor();
  assert.equal(await served.locator(".bar-critical").getAttribute("aria-label"), "60.0 ms of the critical path");
  const width = async () => (await served.locator(".bar").boundingBox()).width;
  const placed = await width();
  await shot("clocks-1280");
  await page.getByLabel("Times as told").check();
  // By its own clock it was a minute later, so all that happened is a sliver at either end.
  await until("raw times", async () => (await width()) * 10 < placed);
}
