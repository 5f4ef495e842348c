// Rules as sentences, with what they decided and why.

import assert from "node:assert/strict";

export async function a_rule_is_added_changed_and_says_what_it_decided({ open, system }) {
  const tab = await open();
  await tab.signIn();
  await tab.go("Rules");
  await tab.page.click("ul.rules a >> text=Tell me about campaigns");
  await tab.page.waitForSelector("[data-decision]");
  const { data: rules } = await system.api("rules");
  const sample = rules.find(({ name }) => name.startsWith("Tell me about campaigns"));
  const { data: decisions } = await system.api(`rules/${sample.id}/decisions`);
  const shown = await tab.page.$$eval("[data-decision]", (rows) => rows.map(({ dataset }) => dataset.decision));
  assert.deepEqual(shown, decisions.map(({ entity }) => entity));

  await tab.go("Rules");
  await tab.page.click("text=New rule");
  await tab.page.fill("dialog[open] label:has-text('Name') input", "Spend without a click");
  await tab.page.selectOption("dialog[open] label:has-text('Metric') select", "ctr");
  await tab.page.selectOption("dialog[open] label:has-text('Condition') select", "below");
  await tab.page.fill("dialog[open] label:has-text('Value') input", "0.5");
  await tab.page.waitForSelector("dialog[open] >> text=Pause ads whose CTR (all) is below 0.50% in the last 7 days");
  await tab.page.click("dialog[open] >> text=Add the rule");
  await tab.page.waitForSelector("ul.rules >> text=Spend without a click");
  const added = (await system.api("rules")).data.find(({ name }) => name === "Spend without a click");
  assert.equal(added.when.value, "0.005");
  await tab.page.click("ul.rules li:has-text('Spend without a click') [role=switch]");
  await tab.page.waitForSelector(".toast:has-text('is off')");
  assert.equal((await system.api(`rules/${added.id}`)).state, "disabled");
  await tab.page.click("ul.rules >> text=Spend without a click");
  await tab.page.click("text=Delete …");
  await tab.page.click("dialog[open] .danger");
  await tab.page.waitForSelector(".toast:has-text('is deleted')");
}
