// The live view: figures, charts, the scatter and what hangs on it.
import assert from "node:assert/strict";

import { colours, places } from "./canvas.mjs";
import { until } from "./until.mjs";

export async function overview(world) {
  await world.go("/");
  await charts(world);
  await hover(world);
  await world.shot("overview-1280");
  await dark(world);
  await select(world);
  await world.shot("overview-selected-1280");
  await fromSelection(world);
  await failingDot(world);
  await disconnected(world);
}

const scatter = (page) => page.locator(".scatter canvas");

async function charts({ page }) {
  const rate = page.locator(".card", { hasText: "Requests/s" }).locator("strong");
  await until("a request rate", async () => parseFloat(await rate.innerText()) > 0);
  for (const name of ["Errors/s", "p95 latency", "Running", "Active sessions"]) {
    const value = page.locator(".card", { hasText: name }).locator("strong");
    await until(name, async () => /\d/.test(await value.innerText()));
  }
  const plots = page.locator(".uplot canvas");
  assert.equal(await plots.count(), 2);
  for (const index of [0, 1]) {
    await until(`chart ${index}`, async () => (await colours(plots.nth(index))) > 8);
  }
  await until("dots", async () => (await places(scatter(page), "--ok")).length > 20);
}

async function hover({ page }) {
  await until("a tooltip", async () => {
    const [dot] = await places(scatter(page), "--ok");
    await scatter(page).hover({ position: { x: dot.x + 2, y: dot.y + 2 } });
    return page.getByRole("tooltip").isVisible();
  });
  assert.match(await page.getByRole("tooltip").innerText(), /(µs|ms|s) \w+\s+\d{3} (success|failed)/);
}

async function dark({ page, shot }) {
  await page.emulateMedia({ colorScheme: "dark" });
  await until("dark dots", async () => (await places(scatter(page), "--ok")).length > 20);
  await shot("overview-dark-1280");
  await page.emulateMedia({ colorScheme: "light" });
}

/** Drags over the whole plot. */
async function select({ page }) {
  await scatter(page).scrollIntoViewIfNeeded();
  const box = await scatter(page).boundingBox();
  await page.mouse.move(box.x + 70, box.y + 15);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width / 2, box.y + 100, { steps: 4 });
  await page.mouse.move(box.x + box.width - 20, box.y + box.height - 30, { steps: 4 });
  await page.mouse.up();
  const rows = page.locator(".selection tbody tr");
  await rows.first().waitFor();
  const listed = await rows.locator("td:last-child").allInnerTexts();
  assert.ok(listed.length > 10, `${listed.length} transactions are listed`);
  const sizes = listed.map(microseconds);
  assert.deepEqual(sizes, sizes.toSorted((a, b) => b - a), "the slowest comes first");
}

function microseconds(text) {
  const [value, unit] = text.split(" ");
  return parseFloat(value) * { µs: 1, ms: 1e3, s: 1e6, min: 60e6 }[unit];
}

/** The slowest is a search; its tree shows the statement. */
async function fromSelection({ page, shot }) {
  await page.locator(".selection tbody tr", { hasText: "search" }).first().getByRole("link").click();
  await page.waitForURL(/\/transactions\/[0-9a-f]{32}$/);
  await page.getByRole("tree").getByText("WITH RECURSIVE").first().waitFor();
  const statement = page.locator(".statement pre");
  assert.match(await statement.innerText(), /WITH RECURSIVE[\s\S]+\nFROM product\n/, "the statement is formatted");
  await shot("transaction-slow-1280");
  await page.goBack();
  await scatter(page).waitFor();
}

async function failingDot({ page, shot }) {
  await until("a failing dot", async () => {
    for (const dot of await places(scatter(page), "--bad")) {
      await scatter(page).hover({ position: { x: dot.x + 4, y: dot.y + 4 } });
      const tip = page.getByRole("tooltip");
      if ((await tip.isVisible()) && (await tip.innerText()).includes("failed")) {
        await scatter(page).click({ position: { x: dot.x + 4, y: dot.y + 4 } });
        return true;
      }
    }
    return false;
  });
  await page.waitForURL(/\/transactions\/[0-9a-f]{32}$/);
  const tree = page.getByRole("tree");
  await tree.getByText("INSERT INTO orders (user, total) VALUES (?, ?)").waitFor();
  await tree.getByText("the payment service refused the connection").waitFor();
  await page.locator(".summary .badge-bad").waitFor();
  await shot("transaction-failed-1280");
  await tree.getByText("INSERT INTO orders").click();
  assert.match(await page.locator(".statement pre").innerText(), /INSERT INTO orders \(user, total\)\nVALUES/);
  // The address alone leads there too.
  await page.reload();
  await tree.getByText("INSERT INTO orders").waitFor();
  await page.goBack();
  await scatter(page).waitFor();
}

async function disconnected({ page, forgive }) {
  await page.route("**/api/live*", (route) => route.abort());
  await page.getByText("Disconnected, trying again").waitFor();
  await page.unroute("**/api/live*");
  await page.getByText("Disconnected, trying again").waitFor({ state: "detached" });
  forgive(/ERR_FAILED/);
}
