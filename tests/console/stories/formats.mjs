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
