// Numbers and days as the person's language writes them, and days as the ad account counts them.

import assert from "node:assert/strict";

export async function numbers_are_written_in_three_languages({ open }) {
  const texts = {};
  for (const locale of ["en-US", "de-DE", "ja-JP"]) {
    const tab = await open({ locale });
    await tab.signIn();
    await tab.settled();
    texts[locale] = await tab.page.textContent("[data-measure=spend] .value");
    texts[`${locale} range`] = await tab.page.textContent(".range-button");
  }
  assert.match(texts["en-US"], /^\d{2,3},\d{3}\.\d\d /);
  assert.match(texts["de-DE"], /^\d{2,3}\.\d{3},\d\d /);
  assert.match(texts["ja-JP"], /^\d{2,3},\d{3}\.\d\d /);
  assert.match(texts["de-DE range"], /Nov/);
  assert.match(texts["ja-JP range"], /^\d\d\/\d\d～/);
}

export async function days_are_the_ad_accounts_wherever_the_person_is({ open }) {
  const days = [];
  for (const timezoneId of ["America/Los_Angeles", "Asia/Singapore", "Pacific/Auckland"]) {
    const tab = await open({ timezoneId });
    await tab.signIn();
    await tab.settled();
    days.push((await tab.chart("overview")).days.join());
  }
  assert.equal(new Set(days).size, 1);
}

export async function another_period_is_chosen_by_arrows_days_and_keys({ open }) {
  const tab = await open();
  await tab.signIn();
  await tab.settled();
  const { days: now } = await tab.chart("overview");
  await tab.page.keyboard.press("ArrowLeft");
  await tab.page.waitForFunction((day) => JSON.parse(document.querySelector("pre[data-chart=overview]").textContent).days.at(-1) < day, now[0]);
  await tab.page.goBack();
  await tab.page.click(".range-button");
  await tab.page.click("text=Last 7 days");
  await tab.page.waitForFunction(() => JSON.parse(document.querySelector("pre[data-chart=overview]").textContent).days.length === 7);
  assert.match(tab.page.url(), /range=last_7d/);
  await tab.page.keyboard.press("c");
  await tab.page.waitForFunction(() => !document.querySelector(".key .dash"));
}

export async function amounts_are_typed_as_they_are_written({ open, system }) {
  const [account] = (await system.api("ad-accounts?selected=true")).data;
  // Groups of two digits, digits of one's own script, and the wide ones of an input method.
  const cases = [["en-IN", "1,00,000.50", 10_000_050], ["ar-EG", "١٢٬٣٤٥٫٥", 1_234_550], ["ja-JP", "５０００", 500_000]];
  for (const [index, [locale, typed, amount]] of cases.entries()) {
    const tab = await open({ locale });
    await tab.signIn();
    await tab.page.goto(`${system.url}/w/demo/${account.id}/campaigns?level=adset&chart=none`);
    const row = tab.page.locator("table.grid tbody tr[data-key]:has(.in-place)").nth(index);
    const id = await row.getAttribute("data-key");
    await row.locator(".in-place").click();
    await tab.page.fill(".editor input", typed);
    await tab.page.press(".editor input", "Enter");
    await tab.page.waitForSelector(".toast:has-text('was')");
    assert.equal((await system.api(`ad-accounts/${account.id}/adsets/${id}`)).daily_budget.amount, amount, locale);
  }
}
