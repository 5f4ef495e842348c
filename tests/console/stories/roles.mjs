// What a role does not allow is not offered; a link to it says who can grant it.

import assert from "node:assert/strict";

export async function a_viewer_sees_no_button_that_would_be_refused({ open }) {
  const tab = await open();
  await tab.signIn("viewer");
  await tab.go("Campaigns");
  await tab.page.waitForSelector("table.grid tbody tr[data-key]");
  const offered = await tab.page.$$eval("[role=switch], .in-place, .pick, .bulk", (all) => all.length);
  assert.equal(offered, 0);
  await tab.page.focus("table.grid tbody tr[data-key]");
  for (const key of ["p", "e", "x"]) await tab.page.keyboard.press(key);
  assert.equal(await tab.page.$$eval(".editor, .toast, .bulk", (all) => all.length), 0);
  await tab.go("Rules");
  await tab.page.waitForSelector("ul.rules li");
  await tab.go("Connections");
  await tab.page.waitForSelector("[data-account]");
  await tab.go("Members");
  await tab.settled();
  const buttons = await tab.page.$$eval("main button", (all) => all.map((button) => button.ariaLabel ?? button.textContent));
  assert.deepEqual(buttons.filter((label) => !/theme|Search/.test(label)), []);
  await tab.page.goto(tab.page.url().replace("members", "audit"));
  await tab.page.waitForSelector("text=The audit log is for owners");
}

export async function a_member_is_removed_only_after_a_question({ open }) {
  const tab = await open();
  await tab.signIn();
  await tab.go("Members");
  await tab.page.click("text=Remove …");
  await tab.page.waitForSelector("dialog[open] .danger");
  await tab.page.keyboard.press("Escape");
  await tab.page.waitForSelector("dialog[open]", { state: "detached" });
  assert.ok((await tab.page.textContent("main")).includes("developer-of-demo"));
}

export async function a_link_to_an_account_that_is_not_here_shows_no_other({ open }) {
  const tab = await open();
  await tab.signIn("owner", "/w/demo/act_9/campaigns?since=2026-99-99&until=2026-99-99");
  await tab.page.waitForSelector("text=This ad account is not synced here");
  assert.equal(await tab.page.locator("table.grid").count(), 0);
}

export async function an_editor_changes_campaigns_and_connects_nothing({ open }) {
  const tab = await open();
  await tab.signIn("editor");
  await tab.go("Campaigns");
  await tab.page.waitForSelector("[role=switch]");
  await tab.go("Connections");
  await tab.page.waitForSelector("[data-account] button");
  assert.equal(await tab.page.$$eval("main >> text=Connect Meta", (all) => all.length).catch(() => 0), 0);
  assert.equal(await tab.page.getByText("Disconnect").count(), 0);
}
