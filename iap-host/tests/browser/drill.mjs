// What is below the figures: SQL, errors, the map, and the scatter of a window.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";

import { colours, places } from "./canvas.mjs";
import { until } from "./until.mjs";

const NARROW = { width: 390, height: 844 };
const WIDE = { width: 1280, height: 800 };
/** Bytes of the console as they go over the wire. */
const MOST = 150_000;

/** A page in the dark, in Korean, and on a small screen. */
async function looks({ page, shot }, name) {
  await page.emulateMedia({ colorScheme: "dark" });
  await shot(`${name}-dark-1280`);
  await page.emulateMedia({ colorScheme: "light" });
  await page.setViewportSize(NARROW);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(overflow <= 0, `${name} is ${overflow} pixels too wide`);
  await shot(`${name}-390`);
  await page.getByRole("button", { name: "Menu" }).click();
  await page.getByRole("button", { name: "한국어" }).click();
  await page.setViewportSize(WIDE);
  await shot(`${name}-ko-1280`);
  await page.getByRole("button", { name: "English" }).click();
}

export async function sql(world) {
  const { page, go, shot } = world;
  await go("/sql");
  const rows = page.locator("main tbody tr");
  await rows.first().waitFor();
  await page.locator(".sql-cell").getByText(/SELECT/).first().waitFor();
  await shot("sql-1280");
  const counts = async () => (await rows.locator("td:nth-child(3)").allInnerTexts()).map((text) => Number(text.replaceAll(",", "")));
  await page.getByRole("button", { name: "Calls", exact: true }).click();
  await page.waitForURL(/sort=count/);
  await page.locator("section[aria-busy=false] tbody").waitFor();
  await until("an order", async () => {
    const told = await counts();
    return told.every((count, at) => at === 0 || told[at - 1] >= count);
  });
  await looks(world, "sql");
  await page.locator(".sql-cell a").first().click();
  await page.waitForURL(/\/sql\/[0-9a-f]{16}/);
  await page.getByRole("img", { name: /between/ }).waitFor();
  await shot("statement-1280");
  await looks(world, "statement");
  // From the slowest call into its tree.
  await page.locator(".panel", { hasText: "Slowest calls" }).getByRole("link").first().click();
  await page.getByRole("tree").waitFor();
  await page.locator(".details").getByText("SQL statement").waitFor();
  await go("/sql?route=nowhere");
  await page.getByText("No SQL in this window").waitFor();
  await shot("sql-empty-1280");
}

export async function spanGroups(world) {
  const { page, go, shot } = world;
  await go("/spans");
  const rows = page.locator("main tbody tr");
  await rows.first().waitFor();
  await shot("spans-1280");
  await page.getByRole("button", { name: "Status", exact: true }).click();
  await page.waitForURL(/by=service%2Cname%2Cstatus/);
  // A fourth column cannot be chosen.
  assert.ok(await page.getByRole("button", { name: "Kind", exact: true }).isDisabled());
  await page.getByRole("button", { name: "Errors", exact: true }).click();
  await page.waitForURL(/order=errors/);
  await page.locator("section[aria-busy=false] tbody").waitFor();
  const errors = async () => (await rows.locator("td:nth-child(5)").allInnerTexts()).map((text) => Number.parseInt(text.replaceAll(",", ""), 10));
  await until("an order", async () => {
    const told = await errors();
    return told[0] > 0 && told.every((count, at) => at === 0 || told[at - 1] >= count);
  });
  await looks(world, "spans");
  // A value restricts them, and is taken back.
  await page.locator("main tbody").getByRole("link", { name: "error", exact: true }).first().click();
  await page.waitForURL(/status=error/);
  await until("errors only", async () => {
    const told = await rows.locator("td:nth-child(3)").allInnerTexts();
    return told.length > 0 && told.every((text) => text === "error");
  });
  await page.getByRole("button", { name: /Status: error/ }).click();
  await until("all of them", async () => !page.url().includes("status=error"));
  await go("/spans?service=nobody");
  await page.getByText("No spans in this window").waitFor();
  await shot("spans-empty-1280");
}

export async function failures(world) {
  const { page, go, shot } = world;
  await go("/errors");
  const groups = page.locator(".failures li");
  await groups.first().waitFor();
  await page.getByRole("img", { name: /between/ }).first().waitFor();
  await shot("errors-1280");
  await looks(world, "errors");
  await groups.first().getByRole("link").first().click();
  await page.waitForURL(/transactions.*errors=true/);
  await page.locator("main tbody tr").first().waitFor();
  await go("/errors?service=nobody");
  await page.getByText("Nothing failed in this window").waitFor();
  await shot("errors-empty-1280");
}

/** What a page must not take for anything but a name. */
const HOSTILE = "<img src=x onerror=alert(1)>";

/** One request through some services, which also go in a circle; one of them fails. */
function circle() {
  const traceId = randomBytes(16).toString("hex");
  const now = BigInt(Date.now() - 2000) * 1_000_000n;
  const groups = new Map();
  const call = (service, parentSpanId, kind, attributes = {}, failed = false) => {
    const span = {
      traceId,
      spanId: randomBytes(8).toString("hex"),
      parentSpanId,
      kind,
      name: "call",
      startTimeUnixNano: String(now),
      endTimeUnixNano: String(now + 40_000_000n),
      attributes: Object.entries(attributes).map(([key, stringValue]) => ({ key, value: { stringValue } })),
      status: failed ? { code: 2, message: `card 4711 of '${HOSTILE}' declined` } : {},
    };
    groups.set(service, [...(groups.get(service) ?? []), span]);
    return span.spanId;
  };
  const front = call("storefront", undefined, 2);
  const orders = call("orders", call("storefront", front, 3), 2);
  const billing = call("billing", call("orders", orders, 3), 2);
  call("storefront", call("billing", billing, 3), 2);
  call("billing", billing, 3, { "server.address": HOSTILE, "error.type": "CardError" }, true);
  call("orders", orders, 3, { "db.system.name": "postgresql", "db.namespace": "orders", "db.query.text": `SELECT '${HOSTILE}' FROM "${HOSTILE}"` });
  call("orders", orders, 4, { "messaging.destination.name": "mails" });
  const resource = (service) => ({ attributes: [{ key: "service.name", value: { stringValue: service } }] });
  return {
    resourceSpans: [...groups].map(([service, spans]) => ({ resource: resource(service), scopeSpans: [{ spans }] })),
  };
}

/** Where a box of the map stands. */
function leftOf(page, kind, hasText) {
  return page.locator(`.map-${kind}`, { hasText }).first().evaluate((box) => box.getBoundingClientRect().left);
}

/** Text from outside is text on each of the pages. */
export async function outside({ page, address, go, shot }) {
  const status = await (await fetch(new URL("/api/status", address))).json();
  const headers = { "content-type": "application/json" };
  const sent = await fetch(`http://${status.facts.addresses.otlp}/v1/traces`, { method: "POST", headers, body: JSON.stringify(circle()) });
  assert.equal(await sent.text(), "{}");
  for (const [path, place] of [["/sql?last_s=60&service=orders", ".sql-cell"], ["/errors?last_s=60&service=billing", ".failures"], ["/map?last_s=60", ".map-name"]]) {
    await until(path, async () => {
      await go(path);
      await page.locator("main [aria-busy=false]").first().waitFor();
      return page.locator(place).filter({ hasText: /onerror|CardError/ }).first().isVisible();
    });
    assert.equal(await page.locator("main img").count(), 0, `${path}: names are text`);
  }
  await shot("map-circle-1280");
  // Those that go in a circle stand in the order in which they are met.
  const [front, orders, billing] = [await leftOf(page, "service", "storefront"), await leftOf(page, "service", "orders"), await leftOf(page, "service", "billing")];
  assert.ok(front < orders && orders < billing, `${front}, ${orders}, ${billing}`);
}

export async function map(world) {
  const { page, go, shot } = world;
  await go("/map");
  const boxes = page.locator(".map-box");
  await boxes.first().waitFor();
  const named = await page.locator(".map-kind").allTextContents();
  for (const kind of ["Clients", "Service", "Database"]) assert.ok(named.some((text) => text.includes(kind)), `${kind} in ${named}`);
  const left = (kind, hasText) => leftOf(page, kind, hasText);
  const [clients, gateway, database] = [await left("clients"), await left("service", "gateway"), await left("database")];
  assert.ok(clients < gateway && gateway < database, `from left to right: ${clients}, ${gateway}, ${database}`);
  assert.equal(await page.locator(".map-line").count(), await page.locator("main tbody tr").count(), "the table says the same");
  await shot("map-1280");
  await looks(world, "map");
  await page.locator("a.map-database").first().click();
  await page.waitForURL(/\/sql/);
  await page.goBack();
  // By the keyboard, too.
  await page.locator("a.map-service", { hasText: "gateway" }).focus();
  await page.keyboard.press("Enter");
  await page.waitForURL(/transactions.*service=/);
  await page.locator("main tbody tr").first().waitFor();
}

/** Longer than a request of the demo takes, and than it waits to be kept. */
const LONGEST_US = 8e6;

export async function scatter(world) {
  const { page, go, shot } = world;
  await go("/transactions?last_s=900");
  const canvas = page.locator(".scatter canvas");
  await until("dots", async () => (await colours(canvas)) > 8);
  await page.locator("main tbody tr").first().waitFor();
  await shot("transactions-scatter-1280");
  // Around a failure: it is in the list.
  const [failed] = await until("a failure", async () => {
    const found = await places(canvas, "--bad");
    return found.length > 0 ? found : null;
  });
  const box = await canvas.boundingBox();
  await page.mouse.move(box.x + failed.x - 12, box.y + failed.y - 12);
  await page.mouse.down();
  await page.mouse.move(box.x + failed.x + 12, box.y + failed.y + 12, { steps: 4 });
  await page.mouse.up();
  await page.waitForURL(/area=\d+-\d+-\d+-\d+/);
  await page.locator("section[aria-busy=false] tbody .badge-bad").first().waitFor();
  await page.getByText("In the area").waitFor();
  await shot("transactions-area-1280");
  // Requests go on: what began in the area has to be over, and kept, before the list says the same again.
  const [, to_us] = new URL(page.url()).searchParams.get("area").split("-").map(Number);
  await until("nothing more comes into the area", async () => Date.now() * 1000 > to_us + LONGEST_US);
  await page.reload();
  await page.locator("section[aria-busy=false] tbody .badge-bad").first().waitFor();
  const rows = page.locator("main tbody tr");
  const listed = await rows.locator("a").evaluateAll((links) => links.map((link) => link.getAttribute("href")));
  // Whoever gets the address sees the same.
  const shared = page.url();
  await go("/");
  await page.goto(shared);
  await page.locator("section[aria-busy=false] tbody .badge-bad").first().waitFor();
  assert.deepEqual(await rows.locator("a").evaluateAll((links) => links.map((link) => link.getAttribute("href"))), listed);
  await until("the picture", async () => (await colours(canvas)) > 8);
  await page.getByRole("button", { name: "Leave the area" }).click();
  await until("no area", async () => !page.url().includes("area="));
  await page.getByRole("button", { name: "Linear" }).click();
  await page.waitForURL(/scale=linear/);
  await until("dots again", async () => (await colours(canvas)) > 8);
  await shot("transactions-linear-1280");
  // The same without a pointer.
  await page.getByText("Choose an area").focus();
  await page.keyboard.press("Enter");
  await page.getByLabel("At least (ms)").last().fill("100");
  await page.keyboard.press("Enter");
  await page.waitForURL(/area=\d+-\d+-100000-\d+/);
  await page.locator("section[aria-busy=false] tbody tr").first().waitFor();
  await shot("transactions-keyboard-1280");
  await go("/transactions?last_s=259200");
  await until("three days", async () => (await colours(canvas)) > 8);
  await looks(world, "transactions-days");
}

/** As many points as an answer may have, spread as requests are. */
function many(count) {
  const window = { from_us: Date.now() * 1000 - 3600e6, to_us: Date.now() * 1000 };
  const column = (value) => Array.from({ length: count }, (_, at) => value(at));
  const points = {
    since_us: column(() => Math.floor(3600e6 / count)),
    duration_us: column((at) => Math.floor(500 * 1.00004 ** ((at * 7919) % count))),
    status: column((at) => (at % 100 ? 200 : 500)),
    route: column(() => 0),
    failed: column((at) => at).filter((at) => at % 100 === 0),
    weight: null,
    trace_id: null,
  };
  return { window, count, errors: points.failed.length, kept: count, routes: ["orders"], points, grid: null };
}

/** Two hundred thousand points, as the host would answer them: how long the page is held up is told, and judged by nobody. */
export async function frames({ page, go, shot }) {
  const body = JSON.stringify(many(200_000));
  await page.route(/\/api\/points/, (route) => route.fulfill({ contentType: "application/json", body }));
  await go("/transactions");
  const canvas = page.locator(".scatter canvas");
  await until("dots", async () => (await colours(canvas)) > 8);
  const drawn = () => page.evaluate(() => performance.getEntriesByName("scatter").map((entry) => Math.round(entry.duration)));
  await page.getByRole("button", { name: "Linear" }).click();
  await until("a second picture", async () => (await drawn()).length >= 2);
  await page.getByRole("button", { name: "Log" }).click();
  await until("a third picture", async () => (await drawn()).length >= 3);
  // While an area is drawn, frame by frame.
  await page.evaluate(() => {
    window.gaps = [];
    let before = performance.now();
    const next = (now) => {
      window.gaps.push(now - before);
      before = now;
      if (window.gaps.length < 1_000) requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
  });
  const box = await canvas.boundingBox();
  await page.mouse.move(box.x + 200, box.y + 60);
  await page.mouse.down();
  await page.mouse.move(box.x + 700, box.y + 200, { steps: 40 });
  const gaps = (await page.evaluate(() => window.gaps)).sort((a, b) => a - b);
  await shot("transactions-many-1280");
  await page.mouse.up();
  await page.waitForURL(/area=/);
  await page.unroute(/\/api\/points/);
  const at = (share) => Math.round(gaps[Math.floor((gaps.length - 1) * share)]);
  console.log(`  200,000 points: drawn in ${(await drawn()).join(", ")} ms; frames while dragging: median ${at(0.5)} ms, p95 ${at(0.95)} ms`);
}

/** What the console weighs, packed as on its way. */
export async function weight({ address }) {
  const read = async (path) => Buffer.from(await (await fetch(new URL(path, address))).arrayBuffer());
  const page = await read("/");
  const assets = [...page.toString().matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map((match) => match[1]);
  assert.ok(assets.length >= 2, `${assets}`);
  const sizes = [page, ...(await Promise.all(assets.map(read)))].map((bytes) => gzipSync(bytes).length);
  const all = sizes.reduce((sum, size) => sum + size, 0);
  console.log(`  ${all} bytes in all`);
  assert.ok(all < MOST, `the console is ${all} bytes packed, of at most ${MOST}`);
}
