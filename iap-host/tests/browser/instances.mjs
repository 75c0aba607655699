// Two hosts of one file: how they are, one that is cloned and deleted again, and a change for both.
import assert from "node:assert/strict";

import { wrong } from "./axe.mjs";
import { until } from "./until.mjs";

export async function instances({ page, go, shot, forgive }) {
  await go("/configuration");
  await panel(page, "Instances").getByText("blue").first().waitFor();
  const rows = panel(page, "Instances").locator("tbody tr");
  await until("both run what the file says", async () => {
    const texts = await rows.allInnerTexts();
    return texts.length === 2 && texts.every((text) => /running/.test(text) && /in sync/.test(text));
  });
  assert.match((await rows.allInnerTexts())[0], /blue · this one/);
  await panel(page, "Profiles").getByText("sessions.enabled").waitFor();
  await panel(page, "What runs").getByText("instance blue").waitFor();
  assert.deepEqual(await wrong(page), []);
  await shot("instances-1280");

  // A clone is looked at before it is made.
  await page.getByRole("button", { name: "Clone green" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name", { exact: true }).fill("red");
  await dialog.getByLabel("Reason").fill("one more");
  await dialog.getByRole("button", { name: "See what changes" }).click();
  await dialog.locator(".diff-new").getByText("red:").waitFor();
  assert.deepEqual(await wrong(page), []);
  await shot("instances-clone-1280");
  await dialog.getByRole("button", { name: "Apply" }).click();
  await dialog.waitFor({ state: "detached" });
  const red = rows.filter({ hasText: "red" });
  await red.getByText("unreachable").waitFor();

  // What is wrong is told in the dialog, and nothing is lost.
  await page.getByRole("button", { name: "Clone green" }).click();
  await dialog.getByLabel("Name", { exact: true }).fill("red");
  await dialog.getByLabel("Reason").fill("again");
  await dialog.getByRole("button", { name: "See what changes" }).click();
  await dialog.getByText("there is an instance `red` already").waitFor();
  forgive(/status of 409/);
  assert.equal(await dialog.getByLabel("Reason").inputValue(), "again");
  await dialog.getByRole("button", { name: "Cancel" }).click();

  // A change of what all share says so, and the other one is behind until it reads the file.
  const text = page.getByLabel("Text", { exact: true });
  const before = await text.inputValue();
  await text.fill(before.replace("body: first", "body: second"));
  await page.getByText("Valid", { exact: true }).waitFor();
  await page.locator("button.primary", { hasText: "See what changes" }).click();
  const review = page.getByRole("region", { name: "What changes" });
  await review.getByText("also changes instance green: routes[word].respond.body").waitFor();
  await review.getByLabel("Reason").fill("a better word");
  await review.getByRole("button", { name: "Apply" }).click();
  await rows.filter({ hasText: "green" }).getByText("behind the file").waitFor();
  await shot("instances-behind-1280");
  await page.getByRole("button", { name: "Have all read the file" }).click();
  await page.getByText("green: routes").waitFor();
  await page.getByText("red, not done:").waitFor();
  assert.deepEqual(await wrong(page), []);
  await rows.filter({ hasText: "green" }).getByText("in sync").waitFor();

  await page.getByRole("button", { name: "Delete red" }).click();
  await dialog.getByLabel("Reason").fill("not needed");
  await dialog.getByRole("button", { name: "See what changes" }).click();
  await dialog.locator(".diff-old").getByText("red:").waitFor();
  await shot("instances-delete-1280");
  await dialog.getByRole("button", { name: "Delete", exact: true }).click();
  await dialog.waitFor({ state: "detached" });
  await until("it is gone", async () => (await rows.count()) === 2);

  await page.setViewportSize({ width: 390, height: 844 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  assert.equal(wide, false, "nothing sticks out of a narrow screen");
  await shot("instances-390");
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.getByRole("button", { name: "한국어" }).click();
  await page.getByRole("heading", { name: "인스턴스" }).waitFor();
  await shot("instances-1280-ko");
  await page.getByRole("button", { name: "English" }).click();
}

const panel = (page, name) => page.locator(".panel").filter({ has: page.getByRole("heading", { level: 2, name, exact: true }) });
