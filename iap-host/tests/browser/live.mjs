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
  await page.getByRole("button", { name: "한국어" }).click();
  await page.getByRole("heading", { level: 1, name: "실시간" }).waitFor();
  await page.getByRole("heading", { name: "현재 가장 느린 요청" }).waitFor();
  await page.getByRole("button", { name: "English" }).click();
  socket.destroy();
  await row.first().waitFor({ state: "detached" });
}

/** Servers behind, and what may be done with them. Comes after an action has drained one of two. */
export async function pools({ page, go, shot }) {
  await go("/live");
  await page.locator(".side-who").getByRole("button", { name: "Sign out" }).click();
  await enter(page, "olga");
  await page.getByRole("heading", { name: "Upstreams" }).waitFor();
  const drained = page.locator(".servers tbody tr").filter({ hasText: "drained" });
  await drained.getByText("0 %").waitFor();
  await shot("live-upstreams-1280");
  const group = page.getByRole("group", { name: "Take a server back" });
  const takeBack = async () => {
    await drained.getByRole("button", { name: "Take back" }).click();
    await group.getByLabel("Why").fill("it is mended");
    await group.getByRole("button", { name: "Look what it would do" }).click();
    await group.locator(".dry-run").getByText("would get requests again").waitFor();
  };
  // Looked at and left: nothing stands in the way of the next one.
  await takeBack();
  await group.getByRole("button", { name: "Cancel" }).click();
  await group.waitFor({ state: "detached" });
  await takeBack();
  await shot("live-take-back-1280");
  await group.getByRole("button", { name: "Approve" }).click();
  await group.getByText(/being done|done, watched/).waitFor();
  await drained.waitFor({ state: "detached" });
  await group.getByRole("button", { name: "Close" }).click();
  await page.setViewportSize({ width: 390, height: 844 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  assert.equal(wide, false, "nothing sticks out of a narrow screen");
  await shot("live-upstreams-390");
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.locator(".side-who").getByRole("button", { name: "Sign out" }).click();
  await enter(page, "dev");
  await page.locator(".servers tbody tr").first().waitFor();
  assert.equal(await page.locator(".server-controls").count(), 0, "developers look, and do not act");
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
