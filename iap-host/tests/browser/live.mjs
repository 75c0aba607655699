// What runs now, and what the runtime is doing.
import assert from "node:assert/strict";
import { connect } from "node:net";

import { enter } from "./access.mjs";
import { until } from "./until.mjs";

/** A request whose body does not come: it runs until it is let go. */
async function hang(address) {
  const status = await (await fetch(new URL("/api/status", address))).json();
  const [host, port] = status.facts.addresses.http.split(":");
  const socket = connect(Number(port), host);
  socket.on("error", () => {});
  socket.write("POST /cart HTTP/1.1\r\nhost: shop\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: 9\r\n\r\n");
  return socket;
}

export async function live({ page, go, shot, address }) {
  const socket = await hang(address);
  await go("/live");
  const row = page.locator(".slowest tbody tr").filter({ hasText: "POST /cart" });
  await row.first().waitFor();
  await until("it grows older by itself", async () => /^[1-9]\.?\d* s/.test(await row.first().locator("td").first().innerText()));
  await page.locator(".band-rows li").first().waitFor();
  assert.match(await page.locator(".band-legend").innerText(), /under 500 ms[\s\S]*8\.00 s or more/);
  await shot("live-1280");
  // The shop reads a body that does not come: the line that waits is told.
  await row.first().getByRole("button", { name: "Where?" }).click();
  const waits = page.getByRole("region", { name: "Where POST /cart waits" });
  await waits.locator("summary").first().waitFor();
  const lines = await waits.locator("li").allTextContents();
  assert.ok(lines.some((line) => line.includes("iap_host::demo::shop")), lines.join("\n"));
  await shot("live-where-1280");
  await page.getByRole("button", { name: "한국어" }).click();
  await page.getByRole("heading", { level: 1, name: "실시간" }).waitFor();
  await page.getByRole("heading", { name: "현재 가장 느린 요청" }).waitFor();
  await page.getByRole("button", { name: "English" }).click();
  socket.destroy();
  await row.first().waitFor({ state: "detached" });
}

/** Upstreams of a host with accounts: who may operate takes a server back and shifts a weight, seeing first what that would do. */
export async function upstreams({ page, go, shot }) {
  await page.locator(".side-who").getByRole("button", { name: "Sign out" }).click();
  await enter(page, "dev");
  await page.locator(".side-who").getByText("dev · developer").waitFor();
  await go("/live");
  const row = (server) => page.locator(".servers tbody tr").filter({ hasText: server });
  const [first, second] = ["127.0.0.1:9", "127.0.0.1:10"].map((server) => row(server).filter({ hasText: new RegExp(`${server}(?!\\d)`) }));
  await first.getByText("drained").waitFor();
  assert.equal(await first.locator("td[data-label='First byte']").innerText(), "–", "nothing has answered");
  assert.equal(await page.locator(".servers button").count(), 0, "a developer does not act");
  await page.locator(".side-who").getByRole("button", { name: "Sign out" }).click();
  await enter(page, "olga");

  await first.getByRole("button", { name: "Take back: 127.0.0.1:9" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Why").fill("the disk was replaced");
  await dialog.getByRole("button", { name: "Look what it would do" }).click();
  await dialog.getByText("127.0.0.1:9 of pool is draining and would get requests again").waitFor();
  await first.getByText("drained").waitFor();
  await shot("upstreams-dry-run-1280");
  await dialog.getByRole("button", { name: "Do it" }).click();
  await first.getByText("up", { exact: true }).waitFor();

  // Looked at, and left: nothing waits for somebody else.
  await second.getByRole("button", { name: "Weight: 127.0.0.1:10" }).click();
  await dialog.getByLabel("New weight").fill("4");
  await dialog.getByLabel("Why").fill("it is the larger one");
  await dialog.getByRole("button", { name: "Look what it would do" }).click();
  await dialog.getByText("would get about 80 % of the requests of pool, instead of 50 %").waitFor();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  const listed = await page.evaluate(async () => (await (await fetch("/api/actions")).json()).actions);
  const state = (kind, to) => listed.find(({ action }) => action.kind === kind && action.to === to)?.state;
  assert.equal(state("weight", 4), "rejected");
  assert.ok(["running", "watching", "done"].includes(state("undrain")), state("undrain"));

  await second.getByRole("button", { name: "Weight: 127.0.0.1:10" }).click();
  await dialog.getByLabel("New weight").fill("2");
  await dialog.getByLabel("Why").fill("it is the larger one");
  await page.setViewportSize({ width: 390, height: 844 });
  await dialog.getByRole("button", { name: "Look what it would do" }).click();
  await dialog.getByText("would get about 66 %").waitFor();
  await shot("upstreams-dry-run-390");
  await dialog.getByRole("button", { name: "Do it" }).click();
  await second.getByText("1 by its settings").waitFor();
  await second.getByText("67 % by weight").waitFor();
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  assert.equal(wide, false, "nothing sticks out of a narrow screen");
  await shot("upstreams-390");
  await page.setViewportSize({ width: 1280, height: 800 });
  await shot("upstreams-1280");
  await page.getByRole("button", { name: "한국어" }).click();
  await page.getByRole("heading", { name: "업스트림" }).waitFor();
  await second.getByText("가중치 기준 67 %").waitFor();
  await shot("upstreams-1280-ko");
  await page.getByRole("button", { name: "English" }).click();
}

export async function runtime({ page, go, shot }) {
  await go("/runtime");
  for (const name of ["Busy share", "Longest scheduling delay", "Resident memory", "Open file descriptors"]) {
    await page.getByRole("img", { name }).waitFor();
  }
  const legend = page.locator(".small-chart", { hasText: "Busy share" }).locator(".legend");
  assert.match(await legend.innerText(), /worker-0/);
  await page.locator(".timeline tbody tr", { hasText: "Platform started" }).waitFor();
  await page.getByRole("heading", { name: "Session store" }).waitFor();
  const ledger = page.locator(".panel", { hasText: "What became of telemetry" });
  const cells = await ledger.locator("tbody tr", { hasText: "Transactions" }).locator("td.num").allInnerTexts();
  const [made, kept, stoodFor, dropped, waiting] = cells.map((text) => Number(text.replaceAll(",", "")));
  assert.ok(made > 0 && made === kept + stoodFor + dropped + waiting, cells.join(" "));
  await shot("runtime-1280");
  await page.getByRole("button", { name: "한국어" }).click();
  await page.getByRole("heading", { level: 1, name: "런타임" }).waitFor();
  await page.locator(".timeline tbody tr", { hasText: "플랫폼 시작" }).waitFor();
  await page.getByRole("button", { name: "English" }).click();
}
