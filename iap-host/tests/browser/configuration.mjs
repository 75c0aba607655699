// The configuration: another one written, checked, tried out and taken back; and read by those who may not change it.
import assert from "node:assert/strict";

import { enter } from "./access.mjs";
import { until } from "./until.mjs";

export async function configuring({ page, go, shot }) {
  await page.locator(".side-who").getByRole("button", { name: "Sign out" }).click();
  await go("/configuration");
  await enter(page, "ada");
  const text = page.getByLabel("Text", { exact: true });
  const row = (number) => panel(page, "History").locator("tbody tr").filter({ has: page.getByLabel(`Compare revision ${number}`, { exact: true }) });
  await row(1).getByText("stable").waitFor();
  await panel(page, "What runs").getByText("1 · at the start · file").waitFor();
  await shot("configuration-1280");
  const before = await text.inputValue();
  assert.match(before, /body: hello/);

  await page.getByLabel("Find a setting").fill("server.drain");
  const drain = panel(page, "Settings").locator("tbody tr").filter({ has: page.getByText("server.drain", { exact: true }) });
  await drain.getByText('"5s"').waitFor();
  await drain.getByText("file", { exact: true }).waitFor();
  await drain.getByText("How long running requests may go on").waitFor();

  await panel(page, "Certificates").getByText("There is no listener for TLS").waitFor();

  // What is wrong has a place, and a click goes there.
  await text.fill(before.replace("body: hello", "bdy: hello"));
  await page.getByText("did you mean `body`").waitFor();
  const line = before.split("\n").findIndex((one) => one.includes("body: hello")) + 1;
  await page.getByRole("button", { name: new RegExp(`^Line ${line}, column`) }).click();
  const cursor = await text.evaluate((area) => [document.activeElement === area, area.value.slice(0, area.selectionStart).split("\n").length]);
  assert.deepEqual(cursor, [true, line]);
  assert.equal(await page.getByRole("button", { name: "See what changes" }).isDisabled(), true);
  await shot("configuration-wrong-1280");

  await text.fill(`# <b>better</b>\n${before.replace("body: hello", "body: welcome")}`);
  await page.getByText("Valid", { exact: true }).waitFor();
  await page.getByRole("button", { name: "See what changes" }).click();
  const review = page.getByRole("region", { name: "What changes" });
  await review.getByText("routes[shop].respond.body").waitFor();
  await review.locator(".diff-new").getByText("# <b>better</b>").waitFor();
  await shot("configuration-review-1280");
  await review.getByLabel("Reason").fill("a better word");
  await review.getByRole("button", { name: "Apply" }).click();
  await page.getByText("Revision 2 is being tried out").first().waitFor();
  await shot("configuration-trial-1280");
  await row(2).getByText("stable").waitFor();
  await row(2).getByText("a better word").waitFor();
  await panel(page, "What runs").getByText("2 · by the console or the API · ada").waitFor();

  await page.getByLabel("Compare revision 1").check();
  await page.getByLabel("Compare revision 2").check();
  await page.getByRole("region", { name: "From revision 1 to 2" }).locator(".diff-old").getByText("body: hello").waitFor();
  await shot("configuration-compare-1280");
  await row(1).getByRole("button", { name: "Go back" }).click();
  const back = page.getByRole("region", { name: "Go back to revision 1" });
  await back.locator(".diff-new").getByText("body: hello").waitFor();
  await back.getByLabel("Reason").fill("the old word was better");
  await back.getByRole("button", { name: "Go back" }).click();
  await row(3).getByText("as revision 1:").waitFor();
  await until("the text of before", async () => (await text.inputValue()) === before);

  await page.setViewportSize({ width: 390, height: 844 });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  assert.equal(wide, false, "nothing sticks out of a narrow screen");
  await shot("configuration-390");
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.getByRole("button", { name: "한국어" }).click();
  await page.getByRole("heading", { level: 1, name: "설정" }).waitFor();
  await shot("configuration-1280-ko");
  await page.getByRole("button", { name: "English" }).click();

  await page.locator(".side-who").getByRole("button", { name: "Sign out" }).click();
  await enter(page, "vera");
  await page.getByText("Only admins change the configuration.").waitFor();
  assert.equal(await text.getAttribute("readonly"), "");
  await row(3).waitFor();
  assert.equal(await page.getByRole("button", { name: "Go back" }).count(), 0, "she only reads");
}

const panel = (page, name) => page.locator("section.panel").filter({ has: page.getByRole("heading", { name, exact: true, level: 2 }) });
