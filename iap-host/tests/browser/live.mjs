// What runs now, and what the runtime is doing.
import assert from "node:assert/strict";
import { connect } from "node:net";

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
  await page.getByRole("button", { name: "한국어" }).click();
  await page.getByRole("heading", { level: 1, name: "실시간" }).waitFor();
  await page.getByRole("heading", { name: "현재 가장 느린 요청" }).waitFor();
  await page.getByRole("button", { name: "English" }).click();
  socket.destroy();
  await row.first().waitFor({ state: "detached" });
}

export async function runtime({ page, go, shot }) {
  await go("/runtime");
  for (const name of ["Busy share", "Longest scheduling delay", "Resident memory", "Open file descriptors"]) {
    await page.getByRole("img", { name }).waitFor();
  }
  const legend = page.locator(".small-chart", { hasText: "Busy share" }).locator(".legend");
  assert.match(await legend.innerText(), /worker-0/);
  await page.locator(".timeline tbody tr", { hasText: "Platform started" }).waitFor();
  await shot("runtime-1280");
  await page.getByRole("button", { name: "한국어" }).click();
  await page.getByRole("heading", { level: 1, name: "런타임" }).waitFor();
  await page.locator(".timeline tbody tr", { hasText: "플랫폼 시작" }).waitFor();
  await page.getByRole("button", { name: "English" }).click();
}
