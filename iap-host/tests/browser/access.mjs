// Signing in, what each role sees, and what was done by whom.
import assert from "node:assert/strict";

import { until } from "./until.mjs";

const PASSWORD = "correct horse battery";

export async function signing({ page, go, shot, forgive }) {
  await go("/transactions");
  await page.getByRole("heading", { level: 1, name: "Sign in" }).waitFor();
  assert.equal(await page.locator(".nav-link").count(), 0, "nothing is shown to strangers");
  await shot("sign-in-1280");
  await enter(page, "ada", "not her password");
  await page.getByText("The name or the password is wrong.").waitFor();
  await shot("sign-in-wrong-1280");
  forgive(/status of 401/);
  await enter(page, "ada");
  // Where she wanted to go.
  await page.getByRole("heading", { level: 1, name: "Transactions" }).waitFor();
  await page.locator(".side-who").getByText("ada · admin").waitFor();

  await page.getByRole("link", { name: "Access" }).click();
  const own = panel(page, "Signed in").locator("tbody tr");
  await own.filter({ hasText: "this one" }).waitFor();
  const audit = panel(page, "Who has done what").locator("tbody tr");
  await audit.filter({ hasText: "unknown" }).filter({ hasText: "401" }).first().waitFor();
  await audit.filter({ hasText: "ada" }).filter({ hasText: "POST /api/access/sign-in" }).first().waitFor();
  await shot("access-1280");
  await page.setViewportSize({ width: 390, height: 844 });
  await page.getByText("You may see or do").waitFor();
  const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  assert.equal(wide, false, "nothing sticks out of a narrow screen");
  await shot("access-390");
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.getByRole("button", { name: "한국어" }).click();
  await page.getByRole("heading", { level: 1, name: "접근 관리" }).waitFor();
  await shot("access-1280-ko");
  await page.getByRole("button", { name: "English" }).click();

  await page.locator(".side-who").getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { level: 1, name: "Sign in" }).waitFor();
  await enter(page, "vera");
  await page.locator(".side-who").getByText("vera · viewer").waitFor();
  await page.getByText("Who has done what").waitFor({ state: "detached" });
  const links = await page.locator(".nav-link").allInnerTexts();
  assert.deepEqual(links.map((text) => text.trim()), ["Overview", "Incidents", "Alerts", "Actions", "Map", "Routes", "Metrics", "Runtime", "Configuration", "Access"]);
  await go("/sessions");
  await page.getByText("Your role does not see this page.").waitFor();
  await go("/");
  await page.locator(".card").first().waitFor();
  await page.getByText("Your role does not see single requests.").first().waitFor();
  assert.equal(await page.getByRole("button", { name: "List all" }).count(), 0);
  await shot("overview-viewer-1280");
  await go("/alerts");
  await page.getByText("Nothing is silenced.").waitFor();
  assert.equal(await page.getByRole("button", { name: "Silence", exact: true }).count(), 0, "she does not act");

  // Her sign-in is ended elsewhere: the page asks again, by itself.
  const cookies = await page.context().cookies();
  assert.ok(cookies.length === 1 && cookies[0].httpOnly && cookies[0].sameSite === "Lax", "no script reads it");
  await page.context().clearCookies();
  await go("/");
  await until("the page asks again", () => page.getByRole("heading", { level: 1, name: "Sign in" }).isVisible());
}

const panel = (page, name) => page.locator("section.panel").filter({ has: page.getByRole("heading", { name }) });

/** Signs in. */
export async function enter(page, name, password = PASSWORD) {
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
}
