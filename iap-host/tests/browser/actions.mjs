// An action: proposed, looked at, approved; and seen by those who may not act.
import assert from "node:assert/strict";

import { enter } from "./access.mjs";

export async function acting({ page, go, shot }) {
  await go("/actions");
  await enter(page, "olga");
  await page.getByText("Nothing was proposed yet.").waitFor();
  await shot("actions-empty-1280");
  await page.getByLabel("Why").fill("disk <b>full</b>");
  await page.getByRole("button", { name: "Look what it would do" }).click();
  const first = page.locator(".proposals > li").first();
  await first.getByText("waits for a person").waitFor();
  await first.getByText("1 of 2 servers of pool stay; they take over about 50 % of its requests").waitFor();
  await first.getByText("disk <b>full</b>").waitFor();
  await shot("actions-proposed-1280");
  await page.getByLabel("Your reason").fill("seen it as well");
  await page.getByRole("button", { name: "Approve" }).click();
  await first.getByText("done, watched").waitFor();
  assert.match(await first.innerText(), /olga .* seen it as well/);
  await shot("actions-watched-1280");
  await page.setViewportSize({ width: 390, height: 844 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  assert.equal(wide, false, "nothing sticks out of a narrow screen");
  await shot("actions-390");
  await page.setViewportSize({ width: 1280, height: 800 });

  // Another share for a server: what it weighs now is known.
  await page.locator(".propose select").first().selectOption({ label: "Shift the weight of a server" });
  const server = page.locator("select[name=server]");
  await server.locator("option").filter({ hasText: "weight 1" }).nth(1).waitFor({ state: "attached" });
  await server.selectOption({ index: 1 });
  await page.getByLabel("New weight").fill("3");
  await page.getByLabel("Why").fill("it is the larger one");
  await page.getByRole("button", { name: "Look what it would do" }).click();
  await first.getByText("would get about 100 % of the requests of pool").waitFor();
  await first.locator("code").filter({ hasText: "1 → 3" }).waitFor();
  await page.locator(".propose select").first().selectOption({ label: "Raise or lower a limit" });
  await page.getByText("No limit is set that can be changed here.").waitFor();
  await shot("actions-weight-1280");

  await page.locator(".side-who").getByRole("button", { name: "Sign out" }).click();
  await enter(page, "vera");
  await page.locator(".proposals").getByText("done, watched").waitFor();
  assert.equal(await page.locator("main form").count(), 0, "she does not act");
}
