// The page of questions with a model and a runbook: steps, whose words, citations; what others have written is only text.
// node ask.mjs URL CHROMIUM
import assert from "node:assert/strict";
import { chromium } from "playwright-core";

const [url, executablePath] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
try {
  const page = await browser.newPage({ locale: "en-US" });
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
  page.on("dialog", (dialog) => (wrong.push("a dialog"), dialog.dismiss()));
  for (const [language, worded, runbooks] of [
    ["en", "Worded by local", "Runbooks"],
    ["ko", "local 모델이 쓴 글", "참고 문서"],
  ]) {
    await page.addInitScript((value) => localStorage.setItem("iap.language", value), language);
    await page.goto(`${url}ask?q=${encodeURIComponent("what is wrong right now?")}`);
    const answered = page.locator(".ask [aria-busy=false]");
    await answered.locator(".answer").waitFor();
    const text = await answered.innerText();
    assert.ok(text.includes("Ask the team of broken first"), text);
    assert.ok(text.includes(worded) && text.includes(runbooks), text);
    assert.ok(text.includes("shop.md") && text.includes("When broken fails"), text);
    // A passage with markup is what it is, letter by letter.
    assert.ok(text.includes("<img src=x onerror=alert(1)> [click](javascript:alert(1))"), text);
    assert.equal(await answered.locator("blockquote img, blockquote a, blockquote script").count(), 0);
  }
  // A question that waits for the model says so.
  await page.goto(`${url}ask?q=${encodeURIComponent("지금 문제의 원인을 알려줘")}`);
  await page.locator(".ask-progress", { hasText: "local (m)에 묻는 중" }).waitFor();
  assert.deepEqual(wrong, []);
} finally {
  await browser.close();
}
