// Signing in at a provider: the button, the way there and back, and the page of somebody without a role.
import assert from "node:assert/strict";

import { wrong } from "./axe.mjs";

export async function provided({ page, go, shot, forgive, address }) {
  const heading = (name) => page.getByRole("heading", { level: 1, name });
  const button = page.getByRole("button", { name: "Sign in with your organisation" });
  const at = async (account) => {
    await page.getByLabel("Account").fill(account);
    await page.getByRole("button", { name: "Continue" }).click();
  };
  const views = async (name) => {
    await shot(`${name}-1280`);
    assert.deepEqual(await wrong(page), []);
    await page.setViewportSize({ width: 390, height: 844 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
    assert.equal(wide, false, "nothing sticks out of a narrow screen");
    await shot(`${name}-390`);
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.getByRole("button", { name: "한국어" }).click();
    await heading("로그인").waitFor();
    await shot(`${name}-1280-ko`);
    await page.getByRole("button", { name: "English" }).click();
    await heading("Sign in").waitFor();
  };

  await go("/routes?last_s=600");
  await heading("Sign in").waitFor();
  await views("sign-in-provider");
  // By keyboard.
  await button.focus();
  await page.keyboard.press("Enter");
  await page.waitForURL(/interaction/);
  assert.notEqual(new URL(page.url()).hostname, new URL(address).hostname, "another site");
  await at("kim-0001");
  await heading("Routes").waitFor();
  assert.equal(new URL(page.url()).search, "?last_s=600", "where he wanted to go");
  await page.locator(".side-who").getByText("kim · admin").waitFor();
  await page.getByRole("link", { name: "Access" }).click();
  await page.getByText("kim · admin · by the provider").waitFor();
  await page.locator("tbody tr").filter({ hasText: "kim · by the provider" }).filter({ hasText: "this one" }).waitFor();
  await shot("access-provider-1280");
  await page.locator("tbody tr").filter({ hasText: "/api/access/oidc/callback" }).filter({ hasText: "kim-0001" }).waitFor();
  const cookies = (await page.context().cookies()).filter((cookie) => cookie.name.startsWith("iap"));
  assert.ok(cookies.length === 1 && cookies[0].httpOnly, "that of the way there is gone, no script reads the other");

  await page.locator(".side-who").getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "Sign out here" }).click();
  await heading("Sign in").waitFor();
  assert.equal(page.url(), address);

  await button.click();
  await at("park-0004");
  await page.getByText("The provider knows you, but you have no role here.").waitFor();
  await page.locator("code", { hasText: "groups" }).waitFor();
  assert.equal(new URL(page.url()).pathname, "/sign-in/no_role", "nothing of the provider's answer is in the address");
  forgive(/status of 403/);
  await views("sign-in-no-role");
  // The provider asks anew who it is, though it knows.
  await button.click();
  await at("lee-0002");
  await page.locator(".side-who").getByText("lee · operator").waitFor();
  assert.equal(page.url(), address);
}
