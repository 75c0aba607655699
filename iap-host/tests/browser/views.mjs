// The other views, the languages, and a narrow screen.
import assert from "node:assert/strict";

import { until } from "./until.mjs";

const NARROW = { width: 390, height: 844 };

export async function transactions({ page, go, shot }) {
  await go("/transactions");
  const rows = page.locator("main tbody tr");
  await rows.first().waitFor();
  await shot("transactions-1280");
  assert.equal(await rows.count(), 50);
  const first = await rows.first().getByRole("link").getAttribute("href");
  await page.getByRole("button", { name: "Next page" }).click();
  await page.waitForURL(/cursor=/);
  await page.getByRole("button", { name: "First page" }).waitFor();
  await page.locator(`main tbody a[href="${first}"]`).waitFor({ state: "detached" });
  await page.goBack();
  await page.getByLabel("Errors only").check();
  await page.waitForURL(/errors=true/);
  await page.locator("section[aria-busy=false] tbody").waitFor();
  for (const badge of await rows.locator(".badge").allInnerTexts()) assert.match(badge, /✕ 5\d\d/);
  await go("/transactions?route=search&order=slowest&min_ms=100");
  await rows.first().waitFor();
  for (const row of await rows.all()) assert.match(await row.innerText(), /GET \/search/);
  await go("/transactions?user=nobody");
  await page.getByText("No transaction matches").waitFor();
  await shot("transactions-empty-1280");
}

export async function pages({ page, go, shot, forgive }) {
  await go("/routes");
  const search = page.getByRole("link", { name: "search", exact: true });
  await search.waitFor();
  await page.locator(".uplot canvas").first().waitFor();
  await shot("routes-1280");
  await page.getByRole("button", { name: "p95" }).click();
  assert.equal(await page.locator("main th[aria-sort=descending]").innerText(), "p95 ↓");
  await search.click();
  await page.waitForURL(/route=search/);

  await go("/ask");
  // Asked again until enough has happened for something to be wrong.
  await until("an answer with evidence", async () => {
    await page.getByRole("button", { name: "what is wrong right now?" }).click();
    await page.locator(".ask [aria-busy=false] .answer").waitFor();
    return page.locator(".evidence a").first().isVisible();
  });
  await page.locator(".answer").getByText(/checkout|search/).first().waitFor();
  await shot("ask-1280");
  await page.locator(".evidence a").first().click();
  await page.getByRole("tree").waitFor();
  await page.goBack();
  await page.getByRole("button", { name: "지금 문제의 원인을 알려줘" }).click();
  await page.locator(".answer[lang=ko]").waitFor();
  await assistant({ page, go, shot });

  await go("/incidents");
  await page.locator("section[aria-busy=false]").waitFor();
  await page.getByRole("button", { name: "All", exact: true }).click();
  await page.waitForURL(/state=all/);
  await page.locator("section[aria-busy=false]").locator(".empty, tbody").first().waitFor();
  await shot("incidents-1280");

  await go(`/transactions/${"a".repeat(32)}`);
  await page.getByText("This transaction is not kept").waitFor();
  forgive(/status of 404/);
  await go("/nowhere");
  await page.getByRole("link", { name: "To the overview" }).click();
  await page.locator(".cards").waitFor();
}

export async function sessions({ page, go, shot, forgive }) {
  await go("/sessions");
  const rows = page.locator("main section[aria-busy] tbody tr");
  await rows.first().waitFor();
  // Who is there at once, in a picture.
  await page.getByRole("img", { name: /^Users at once, 1 hour: addresses [1-9]/ }).waitFor();
  await page.getByLabel("Window").selectOption("24 hours");
  await page.getByRole("img", { name: /^Users at once, 24 hours/ }).waitFor();
  await page.locator(".legend li", { hasText: "a week before" }).waitFor();
  await shot("sessions-1280");
  await page.getByLabel("User", { exact: true }).fill("bora");
  await page.getByRole("button", { name: "Search" }).click();
  await page.waitForURL(/user=bora/);
  await page.locator("section[aria-busy=false] tbody").waitFor();
  for (const row of await rows.all()) assert.match(await row.innerText(), /bora/);
  const link = rows.first().getByRole("link");
  const href = await link.getAttribute("href");
  await link.click();
  await page.waitForURL(/\/sessions\/[0-9a-f]{64}$/);
  await page.getByText("Values are not shown here.").waitFor();
  await shot("session-1280");
  await page.getByRole("button", { name: "End session" }).click();
  await page.getByRole("dialog").waitFor();
  await page.getByLabel("Reason").fill("lost phone");
  await shot("session-end-1280");
  await page.getByRole("dialog").getByRole("button", { name: "End session" }).click();
  await page.waitForURL(/\/sessions$/);
  await rows.first().waitFor();
  // The event has the reason.
  await page.getByRole("region", { name: "Events" }).getByText("by an operator: lost phone").first().waitFor();
  await go("/sessions?user=bora");
  await page.locator("section[aria-busy=false]").waitFor();
  assert.equal(await page.locator(`section[aria-busy] a[href="${href}"]`).count(), 0, "the ended session is gone");
  await go(href);
  await page.getByText("There is no such session").waitFor();
  forgive(/status of 404/);
}

/** Sessions in an order, by what they are, and ended together. */
export async function found({ page, go, shot, forgive }) {
  await go("/sessions");
  const rows = page.locator("main section[aria-busy] tbody tr");
  await rows.first().waitFor();
  await page.getByRole("button", { name: "Size", exact: true }).click();
  await page.waitForURL(/sort=-bytes/);
  assert.equal(await page.locator("main th[aria-sort=descending]").innerText(), "Size ↓");
  await page.getByText(/^Looked at \d+ of about/).waitFor();
  await page.getByRole("button", { name: "Size", exact: true }).click();
  await page.waitForURL(/sort=bytes/);
  await page.getByLabel("Older than").fill("soon");
  await page.getByRole("button", { name: "Search" }).click();
  await page.getByText("min_age: write seconds").waitFor();
  forgive(/status of 400/);
  await page.getByRole("link", { name: "Reset filters" }).click();
  await page.getByLabel("Idle for").fill("99d");
  await page.getByRole("button", { name: "Search" }).click();
  await page.getByText("No session matches.").waitFor();
  await shot("sessions-empty-1280");

  await go("/sessions?user=bora");
  await until("bora has a session", async () => {
    await page.getByRole("button", { name: "Refresh" }).click();
    await page.locator("section[aria-busy=false]").first().waitFor();
    return (await rows.count()) > 0;
  });
  await rows.first().getByRole("checkbox").check();
  await shot("sessions-selected-1280");
  await page.getByRole("button", { name: "End selected (1)" }).click();
  const dialog = page.getByRole("dialog", { name: "End these sessions?" });
  await dialog.getByText(/^1 session will end/).waitFor();
  await dialog.getByLabel("Reason").fill("shared account");
  await shot("sessions-end-1280");
  await dialog.getByRole("button", { name: "End sessions" }).click();
  await dialog.getByText(/^[01] sessions? ended/).waitFor();
  await dialog.getByRole("button", { name: "Close" }).click();
  await page.getByRole("region", { name: "Events" }).getByText("shared account").first().waitFor();
  await go("/sessions?login=true&node=");
  await rows.first().waitFor();
  await page.getByRole("button", { name: "End all that match" }).click();
  await dialog.getByText(/will end/).waitFor();
  await dialog.getByRole("button", { name: "Cancel" }).click();
}

/** Tables, charts and links of answers, and a question that goes on from the one before. */
async function assistant({ page, go, shot }) {
  const answered = page.locator(".ask [aria-busy=false] .answer");
  await page.getByRole("button", { name: "slowest routes" }).click();
  await page.waitForURL(/slowest/);
  await answered.getByText(/The slowest route is/).waitFor();
  const rows = page.locator(".fact-table tbody tr");
  assert.ok((await rows.count()) > 1);
  assert.match(await rows.first().getByRole("link").first().getAttribute("href"), /^\/transactions\?route=/);
  await page.getByText("Asked before").waitFor();
  await page.getByLabel("Question", { exact: true }).fill("and for search?");
  await page.getByRole("button", { name: "Ask", exact: true }).click();
  await page.waitForURL(/search/);
  await answered.getByText(/The slowest route is search/).waitFor();
  assert.equal(await rows.count(), 1);
  await go(`/ask?q=${encodeURIComponent("최근 1시간 병목 원인과 해결 방안")}`);
  await answered.getByText(/가장 큰 병목/).waitFor();
  await page.locator(".advice").first().waitFor();
  await shot("ask-bottleneck-1280");
  await go(`/ask?q=${encodeURIComponent("performance report of the last hour")}`);
  await page.locator(".ask .uplot canvas").nth(2).waitFor();
  await shot("ask-performance-1280");
}

export async function language({ page, go, shot }) {
  await go("/");
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
  await page.getByRole("button", { name: "한국어" }).click();
  await page.getByRole("heading", { level: 1, name: "개요" }).waitFor();
  await page.reload();
  await page.getByRole("heading", { level: 1, name: "개요" }).waitFor();
  assert.equal(await page.locator("html").getAttribute("lang"), "ko");
  await page.locator(".card").first().waitFor();
  await shot("overview-ko-1280");
  await page.getByRole("button", { name: "English" }).click();
  await page.getByRole("heading", { level: 1, name: "Overview" }).waitFor();
}

export async function narrow({ page, go, shot }) {
  await page.setViewportSize(NARROW);
  await go("/sessions");
  await page.locator("section[aria-busy] tbody a").first().waitFor();
  const session = await page.locator("section[aria-busy] tbody a").first().getAttribute("href");
  await go("/transactions?route=search&order=slowest");
  await page.locator("main tbody a").first().waitFor();
  const transaction = await page.locator("main tbody a").first().getAttribute("href");
  const views = [
    ["overview", "/", ".uplot canvas"],
    ["transactions", "/transactions", "main tbody a"],
    ["transaction", transaction, ".statement pre"],
    ["routes", "/routes", ".uplot canvas"],
    ["alerts", "/alerts", "main tbody tr"],
    ["incidents", "/incidents?state=all", "section[aria-busy=false]"],
    ["metrics", "/metrics-explorer", ".metric .uplot canvas"],
    ["live", "/live", ".bands"],
    ["runtime", "/runtime", ".small-chart .uplot canvas"],
    ["sessions", "/sessions", ".events a"],
    ["session", session, ".facts"],
    ["ask", "/ask?q=what%20is%20wrong%20right%20now%3F", ".answer"],
    ["ask-performance", "/ask?q=performance%20report", ".ask .uplot canvas"],
    ["ask-bottleneck-ko", `/ask?q=${encodeURIComponent("최근 1시간 병목과 해결 방안")}`, ".fact-table"],
  ];
  for (const [name, path, ready] of views) {
    await go(path);
    await page.locator(ready).first().waitFor();
    const [wide, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(wide <= screen, `${name} is ${wide} px wide on a screen of ${screen}`);
    await shot(`${name}-390`);
  }
  await page.getByRole("button", { name: "Menu" }).click();
  await shot("menu-390");
  await page.getByRole("link", { name: "Routes" }).click();
  await page.waitForURL(/\/routes$/);
}
