// A trace of a thousand spans and four services, as an application would send it.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";

import { until } from "./until.mjs";

const SPANS = 1000;
const SERVICES = ["storefront", "orders", "stock", "billing"];

/** Moments in spans, by the number of the span. */
const EVENTS = {
  1: [["retry", ["attempt", "2"]]],
  700: [["exception", ["exception.type", "OutOfStock"], ["exception.stacktrace", "OutOfStock: none left\n  at take()\n  at order()"]]],
};

/** A trace of one span that links to the first span of another. */
function linking(traceId, target) {
  const now = BigInt(Date.now()) * 1_000_000n;
  const span = {
    traceId,
    spanId: randomBytes(8).toString("hex"),
    name: "mail the receipt",
    kind: 5,
    startTimeUnixNano: String(now),
    endTimeUnixNano: String(now + 1_000_000n),
    links: [{ ...target, attributes: [{ key: "reason", value: { stringValue: "batch" } }] }],
  };
  return { resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] };
}

function trace(traceId) {
  const start = BigInt(Date.now() - 2000) * 1_000_000n;
  const ids = Array.from({ length: SPANS }, () => randomBytes(8).toString("hex"));
  const spans = ids.map((spanId, index) => {
    const from = start + BigInt(index) * 800_000n;
    const parent = index === 0 ? undefined : ids[Math.floor((index - 1) / 8)];
    const leaf = index * 8 + 1 >= SPANS;
    const length = index === 0 ? 900_000_000n : leaf ? 3_000_000n : 60_000_000n;
    const text = (key, stringValue) => ({ key, value: { stringValue } });
    return {
      traceId,
      spanId,
      parentSpanId: parent,
      name: `step ${index}`,
      kind: index === 0 ? 2 : 1,
      startTimeUnixNano: String(from),
      endTimeUnixNano: String(from + length),
      attributes: leaf
        ? [text("db.query.text", `SELECT * FROM part WHERE number = ${index} AND note = '<img src=x onerror=alert(1)>'`)]
        : [],
      events: EVENTS[index]?.map(([name, ...values]) => ({
        timeUnixNano: String(from),
        name,
        attributes: values.map(([key, value]) => text(key, value)),
      })),
      status: index === 700 ? { code: 2, message: "out of stock" } : {},
    };
  });
  return {
    resourceSpans: SERVICES.map((service, at) => ({
      resource: { attributes: [{ key: "service.name", value: { stringValue: service } }] },
      scopeSpans: [{ spans: spans.filter((_, index) => index % SERVICES.length === at) }],
    })),
  };
}

async function send(otlp, request) {
  const headers = { "content-type": "application/json" };
  const sent = await fetch(`http://${otlp}/v1/traces`, { method: "POST", headers, body: JSON.stringify(request) });
  assert.equal(await sent.text(), "{}");
}

export async function large({ page, address, go, shot, forgive }) {
  const status = await (await fetch(new URL("/api/status", address))).json();
  const traceId = randomBytes(16).toString("hex");
  const otlp = status.facts.addresses.otlp;
  const whole = trace(traceId);
  await send(otlp, whole);
  const first = whole.resourceSpans[0].scopeSpans[0].spans[0];
  const [linkingId, target] = [randomBytes(16).toString("hex"), { traceId, spanId: first.spanId }];
  await send(otlp, linking(linkingId, target));
  await go(`/transactions/${traceId}`);
  const tree = page.getByRole("tree");
  // The history takes a moment.
  const again = page.getByRole("button", { name: "Try again" });
  await until("the trace", async () => {
    await tree.or(again).first().waitFor();
    if (await tree.isVisible()) return true;
    await again.click();
    return false;
  });
  forgive(/status of 404/);
  await page.getByText("1,000 spans").waitFor();
  for (const service of SERVICES) await page.locator(".services").getByText(service).waitFor();
  const drawn = await tree.getByRole("treeitem").count();
  assert.ok(drawn > 10 && drawn < 150, `${drawn} of 1,000 rows are in the document`);
  // What failed is chosen from the start.
  await page.locator(".details").getByText("out of stock").waitFor();
  assert.match(await page.locator(".details .stack").innerText(), /none left\n +at take/, "a stack keeps its lines");
  assert.ok((await page.locator(".mark-bad").count()) > 0, "an exception is a mark on its span");
  assert.equal(await page.locator("main img").count(), 0, "text of spans is text");
  await shot("transaction-large-1280");
  await tree.focus();
  await page.keyboard.press("End");
  await tree.locator("[aria-selected=true]").waitFor();
  await page.keyboard.press("Home");
  await page.locator(".details-name").getByText("step 0", { exact: true }).waitFor();
  // To the trace that links here, and back.
  await page.locator("[data-links=from]").getByRole("link", { name: "mail the receipt" }).click();
  await page.waitForURL(new RegExp(linkingId));
  await page.locator("[data-links=to]").getByText("reason=batch").waitFor();
  await page.locator("[data-links=to]").getByRole("link").click();
  await page.waitForURL(new RegExp(`${traceId}.span=${first.spanId}`));
  await page.locator(".details-name").getByText("step 0", { exact: true }).waitFor();
  await tree.focus();
  await page.keyboard.press("ArrowDown");
  await page.locator(".details").getByText("retry").waitFor();
  await page.getByRole("button", { name: "Collapse all" }).click();
  assert.equal(await tree.getByRole("treeitem").count(), 9);
  await page.getByRole("button", { name: "Expand all" }).click();
  await tree.getByText("step 9", { exact: true }).first().waitFor({ state: "attached" });
}
