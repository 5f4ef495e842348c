// Rules as sentences, with what they decided and why.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

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

export async function a_rule_that_somebody_switched_off_stays_off({ open, system }) {
  const tab = await open();
  await tab.signIn();
  await tab.go("Rules");
  await tab.page.click("ul.rules a >> text=Tell me about campaigns");
  await tab.page.click("text=Edit");
  const { data: rules } = await system.api("rules");
  const { id, ...rule } = rules.find(({ name }) => name.startsWith("Tell me about campaigns"));
  await system.api(`rules/${id}`, { method: "PUT", body: { ...rule, state: "disabled" } });
  await tab.page.fill("dialog[open] label:has-text('Name') input", "Another name");
  await tab.page.click("dialog[open] >> text=Save");
  await tab.page.waitForSelector("dialog[open] >> text=Somebody has changed this rule since");
  assert.deepEqual(await system.api(`rules/${id}`), { id, ...rule, state: "disabled" });
  await system.api(`rules/${id}`, { method: "PUT", body: rule });
}

export async function decisions_are_saved_for_spreadsheets({ open, system }) {
  const tab = await open();
  await tab.signIn();
  const body = {
    name: "Ads that lose money", level: "ad", when: { measure: "profit", window: "last_7_days", operator: "below", value: "100" },
    guard: { min_spend: "0", min_impressions: 0 }, action: { type: "notify" },
  };
  const { id } = await system.api("rules", { method: "POST", body });
  const [account] = (await system.api("ad-accounts?selected=true")).data;
  await system.api(`ad-accounts/${account.id}/sync`, { method: "POST" });
  const decided = async () => (await system.api(`rules/${id}/decisions?limit=500`)).data;
  for (let looks = 0; looks < 300 && (await decided()).length === 0; looks += 1) await tab.page.waitForTimeout(100);
  await tab.page.goto(`${system.url}/w/demo/rules/${id}`);
  await tab.page.waitForSelector("[data-decision]");
  const [download] = await Promise.all([tab.page.waitForEvent("download"), tab.page.click("[aria-label='Download as CSV']")]);
  const bytes = readFileSync(await download.path());
  assert.deepEqual([...bytes.subarray(0, 3)], [0xef, 0xbb, 0xbf], "Excel knows the encoding");
  const [, ...rows] = bytes.toString("utf8").trim().split("\r\n");
  const all = await decided();
  assert.equal(rows.length, all.length);
  for (const { entity, value } of all) assert.ok(rows.some((row) => row.includes(`"=""${entity}"""`) && row.includes(`,${value},`)), `${entity} ${value}`);
  await system.api(`rules/${id}`, { method: "DELETE" });
  assert.equal((await decided()).length, all.length, "what a deleted rule decided stays");
}
