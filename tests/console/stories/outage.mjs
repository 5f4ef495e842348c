// The API goes away and comes back; a session ends while somebody types. Last, because the system is killed here.

import assert from "node:assert/strict";

export async function a_page_outlives_the_api_and_its_own_session({ open, system }) {
  const tab = await open();
  for (const status of [401, 400, 500, 502, 503]) tab.expected.add(status);
  await tab.signIn();
  await tab.go("Campaigns");
  await tab.settled();
  const before = await tab.rows();
  // One that no other story changes, and that stays drawn while the page is scrolled to it.
  const id = await tab.page.locator("table.grid tbody tr[data-key]:has(.in-place)").nth(5).getAttribute("data-key");
  const row = tab.page.locator(`tr[data-key="${id}"]`);
  await system.kill();
  await tab.page.waitForSelector("text=Adflight cannot be reached", { timeout: 60_000 });
  assert.deepEqual(await tab.rows(), before, "what was read stays");

  // Somebody goes on typing.
  await row.locator(".in-place").click();
  await row.locator(".editor input").fill("222.22");
  // By then the access token is to be renewed; and the issuer will have forgotten everybody.
  await tab.page.waitForFunction(() => performance.now() > 12_000);
  await system.up();
  await tab.page.waitForSelector("dialog >> text=Your session has ended", { timeout: 90_000 });
  await tab.page.waitForSelector("text=Adflight cannot be reached", { state: "detached" });
  const popup = tab.context.waitForEvent("page");
  await tab.page.click("dialog[open] button");
  const window = await popup;
  await window.click("button[value=owner]");
  await tab.page.waitForSelector("dialog >> text=Your session has ended", { state: "detached" });
  const field = row.locator(".editor input");
  assert.equal(await field.inputValue(), "222.22", "nothing typed is lost");
  await field.press("Enter");
  await tab.page.waitForSelector(".toast:has-text('222.22')");
  const [account] = (await system.api("ad-accounts?selected=true")).data;
  assert.equal((await system.api(`ad-accounts/${account.id}/campaigns/${id}`)).daily_budget.amount, 22_222);
}
