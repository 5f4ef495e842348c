// From nothing to numbers: a new workspace, a login at Meta, the choice of an ad account, and a sync that is seen moving.

import assert from "node:assert/strict";

export async function nothing_becomes_numbers_in_a_few_clicks({ open, system }) {
  const tab = await open();
  await tab.signIn();
  await tab.page.click("button.person");
  await tab.page.click("text=New workspace");
  await tab.page.fill("dialog[open] input", "Acme & sons");
  await tab.page.keyboard.press("Enter");
  await tab.page.waitForSelector("text=Connect your first ad account");
  let clicks = 0;
  const click = async (what) => (await tab.page.click(what), (clicks += 1));
  await click("main >> text=Connect Meta");
  await tab.page.waitForSelector("h1:text-is('Connections')");
  await click(".head >> text=Connect Meta");
  // Meta's dialog, then the choice: no page asks whether to go on.
  await click("button[value=continue]");
  await tab.page.waitForSelector("input[type=checkbox]");
  const yen = tab.page.locator("label:has-text('yen') input");
  for (const box of await tab.page.locator("input[type=checkbox]").all()) await box.setChecked(true);
  assert.equal(await yen.count(), 1);
  await click("text=Sync these accounts");
  await tab.page.waitForSelector("text=Meta is connected");
  const seen = new Set();
  const account = tab.page.locator("[data-account]:has-text('Generated account 1')");
  for (let looks = 0; looks < 1200; looks += 1) {
    const text = await account.locator(".sync").innerText().catch(() => "");
    if (text) seen.add(text);
    if (text.startsWith("Synced")) break;
    await tab.page.waitForTimeout(50);
  }
  const measured = [...seen].filter((text) => /of \d+ weeks measured/.test(text));
  assert.ok(measured.length >= 1 && seen.size >= 2, `the sync is seen moving: ${[...seen].join(" | ")}`);
  await tab.go("Overview");
  await tab.page.waitForSelector("[data-measure=spend] small");
  assert.ok(clicks <= 5, `${clicks} clicks`);

  // Yen have no decimals.
  await tab.page.click(".head-actions button:has-text('ad accounts'), .head-actions button:has-text('account')");
  await tab.page.click(".segments >> text=JPY");
  await tab.page.waitForFunction(() => document.querySelector("[data-measure=spend] .value")?.textContent.includes("JPY"));
  await tab.settled();
  const value = await tab.page.textContent("[data-measure=spend] .value");
  assert.match(value, /^[\d,]+ JPY$/);
}
