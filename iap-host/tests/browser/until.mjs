import assert from "node:assert/strict";

/** Asks again until `check` answers with something true. */
export async function until(what, check, long_ms = 40_000) {
  const deadline = Date.now() + long_ms;
  for (;;) {
    const found = await check();
    if (found) return found;
    assert.ok(Date.now() < deadline, `${what} did not happen`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
