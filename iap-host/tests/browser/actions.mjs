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

  await page.locator(".side-who").getByRole("button", { name: "Sign out" }).click();
  await enter(page, "vera");
  await first.getByText("done, watched").waitFor();
  assert.equal(await page.locator("main form").count(), 0, "she does not act");
}
