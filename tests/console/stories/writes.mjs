// Changes at Meta: in place, with undo, by the keyboard, and many at once.

import assert from "node:assert/strict";
import { join } from "node:path";

async function table(open, system) {
  const tab = await open();
  await tab.signIn();
  await tab.go("Campaigns");
  await tab.page.waitForSelector("table.grid tbody tr[data-key]");
  const [account] = (await system.api("ad-accounts?selected=true")).data;
  const entity = (id) => system.api(`ad-accounts/${account.id}/campaigns/${id}`);
  return { tab, entity, account };
}

/** Waits until an entity is as wanted. */
async function until(read, test) {
  for (let tries = 0; tries < 600; tries += 1) {
    const value = await read();
    if (test(value)) return value;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`it stayed ${JSON.stringify(await read())}`);
}

export async function a_budget_is_changed_in_place_and_taken_back({ open, system }) {
  const { tab, entity } = await table(open, system);
  const id = await tab.page.locator("table.grid tbody tr[data-key]:has(.in-place)").first().getAttribute("data-key");
  const row = tab.page.locator(`tr[data-key="${id}"]`);
  const before = (await entity(id)).daily_budget.amount;
  await row.locator(".in-place").click();
  const field = row.locator(".editor input");
  // No amount at all is refused in place, and nothing typed is lost.
  await field.fill("12,34.x");
  await field.press("Enter");
  await row.locator(".refusal").waitFor();
  assert.equal(await field.inputValue(), "12,34.x");
  // Nor what Meta refuses: a budget below its minimum, in Meta's own words.
  tab.expected.add(422);
  tab.expected.add(400);
  await field.fill("0.01");
  await field.press("Enter");
  await tab.page.waitForFunction(() => document.querySelector(".refusal")?.textContent.length > 0);
  assert.equal(await field.inputValue(), "0.01");
  await field.fill("123.45");
  await field.press("Enter");
  await until(() => entity(id), ({ daily_budget }) => daily_budget.amount === 12_345);
  await tab.page.waitForSelector(".toast:has-text('123.45'):has-text('was')");
  const focused = await tab.page.evaluate(() => document.activeElement?.closest("tr")?.dataset.key);
  assert.equal(focused, id, "the focus stays in the row");
  await tab.page.keyboard.press("z");
  await until(() => entity(id), ({ daily_budget }) => daily_budget.amount === before);
  await tab.page.waitForSelector(".toast:has-text('Undone')");
}

export async function what_was_changed_since_is_not_taken_back({ open, system }) {
  const { tab, entity, account } = await table(open, system);
  const row = tab.page.locator("table.grid tbody tr[data-key]:has([aria-checked=true])").first();
  const id = await row.getAttribute("data-key");
  await row.locator("[role=switch]").click();
  await until(() => entity(id), ({ status }) => status === "PAUSED");
  await tab.page.waitForSelector(".toast button:has-text('Undo')");
  // Somebody else switches it on in the meantime.
  await system.api(`ad-accounts/${account.id}/campaigns/${id}`, { method: "PATCH", body: { status: "ACTIVE" } });
  await tab.page.click(".toast button:has-text('Undo')");
  await tab.page.waitForSelector(".toast.bad:has-text('changed again since')");
  assert.equal((await entity(id)).status, "ACTIVE");
}

export async function a_campaign_is_paused_by_the_keyboard_alone({ open, system }) {
  const tab = await open();
  await tab.page.goto(`${system.url}/`);
  await tab.page.waitForSelector("text=Sign in");
  await tab.page.keyboard.press("Enter");
  await tab.page.waitForSelector("button[value=owner]");
  await tab.page.keyboard.press("Enter");
  await tab.page.waitForSelector("main#content .tile");
  await tab.page.keyboard.press("Control+k");
  await tab.page.keyboard.type("campaigns");
  await tab.page.keyboard.press("Enter");
  await tab.page.waitForSelector("table.grid tbody tr[data-key]");
  await tab.settled();
  // From the search field on, tab by tab, into the table.
  await tab.page.keyboard.press("/");
  assert.equal(await tab.page.evaluate(() => document.activeElement.type), "search");
  const inTable = () => tab.page.evaluate(() => document.activeElement?.tagName === "TR");
  for (let tabs = 0; tabs < 30 && !(await inTable()); tabs += 1) await tab.page.keyboard.press("Tab");
  assert.ok(await inTable(), "the table is reached by Tab");
  for (const key of ["j", "ArrowDown", "k", "End", "Home"]) await tab.page.keyboard.press(key);
  const focusedId = () => tab.page.evaluate(() => document.activeElement?.dataset?.key);
  const [account] = (await system.api("ad-accounts?selected=true")).data;
  const read = async () => system.api(`ad-accounts/${account.id}/campaigns/${await focusedId()}`);
  for (let rows = 0; rows < 20 && (await read()).status !== "ACTIVE"; rows += 1) await tab.page.keyboard.press("j");
  const id = await focusedId();
  await tab.page.keyboard.press("p");
  await until(read, ({ status }) => status === "PAUSED");
  assert.equal(await focusedId(), id);
  await tab.page.waitForSelector(".toast:has-text('Paused')");
  await tab.page.keyboard.press("z");
  await until(read, ({ status }) => status === "ACTIVE");
}

export async function budgets_of_several_are_changed_with_a_preview({ open, system }) {
  const { tab, entity } = await table(open, system);
  const ids = await tab.page.$$eval("table.grid tbody tr[data-key]:has(.in-place)", (rows) => rows.slice(0, 2).map(({ dataset }) => dataset.key));
  const before = await Promise.all(ids.map(async (id) => (await entity(id)).daily_budget.amount));
  for (const id of ids) await tab.page.click(`tr[data-key="${id}"] input[type=checkbox]`);
  await tab.page.click(".bulk >> text=Budget");
  await tab.page.fill("dialog[open] input", "10");
  await tab.page.waitForSelector("dialog[open] button[type=submit]:not([disabled])");
  const then = await tab.page.$$eval("dialog[open] tbody tr", (rows) => rows.map((row) => row.lastElementChild.textContent));
  const money = new Intl.NumberFormat("en-GB", { minimumFractionDigits: 2 });
  assert.deepEqual(then.sort(), before.map((amount) => money.format(Math.round(amount * 1.1) / 100)).sort());
  await tab.page.click("dialog[open] button[type=submit]");
  for (const [index, id] of ids.entries()) await until(() => entity(id), ({ daily_budget }) => daily_budget.amount === Math.round(before[index] * 1.1));
  await tab.page.click(".toast button:has-text('Undo')");
  for (const [index, id] of ids.entries()) await until(() => entity(id), ({ daily_budget }) => daily_budget.amount === before[index]);
}

export async function what_waits_for_meta_is_stopped({ open, system }) {
  const { tab, entity, account } = await table(open, system);
  const [waits, other] = await tab.page.$$eval("table.grid tbody tr[data-key]:has(.in-place)", (rows) => rows.slice(2, 4).map(({ dataset }) => dataset.key));
  // Meta takes no fifth change of a budget within the hour.
  const change = (amount) => system.api(`ad-accounts/${account.id}/campaigns/${waits}`, { method: "PATCH", body: { daily_budget: { amount, currency: account.currency } } });
  for (let amount = 50_010; await change(amount).then(() => true, () => false); amount += 10) assert.ok(amount < 50_060);
  const held = (await entity(waits)).daily_budget.amount;
  await tab.page.reload();
  await tab.page.waitForSelector("table.grid tbody tr[data-key]");
  const before = (await entity(other)).daily_budget.amount;
  for (const id of [waits, other]) await tab.page.click(`tr[data-key="${id}"] input[type=checkbox]`);
  await tab.page.click(".bulk >> text=Budget");
  await tab.page.fill("dialog[open] input", "10");
  await tab.page.waitForSelector("dialog[open] button[type=submit]:not([disabled])");
  await tab.page.click("dialog[open] button[type=submit]");
  await tab.page.waitForSelector(".bulk >> text=1 done");
  await tab.page.click(".bulk >> text=Stop");
  await tab.page.waitForSelector(".toast:has-text('Stopped: 1 campaign left as they were')");
  assert.deepEqual(await tab.page.$$eval("tr[data-key]:has(input:checked)", (rows) => rows.map(({ dataset }) => dataset.key)), [waits], "it stays selected");
  assert.equal((await entity(waits)).daily_budget.amount, held);
  await tab.page.click(".toast button:has-text('Undo')");
  await until(() => entity(other), ({ daily_budget }) => daily_budget.amount === before);
}

export async function ends_and_names_of_several_are_changed_with_a_preview_of_each({ open, system, screenshots }) {
  const { tab, account } = await table(open, system);
  await tab.page.click("[aria-label=Level] >> text=Ad sets");
  await tab.page.waitForFunction(() => document.querySelectorAll("table.grid tbody tr[data-key]").length > 5);
  await tab.settled();
  const adSet = (id) => system.api(`ad-accounts/${account.id}/adsets/${id}`);
  const shown = await tab.page.$$eval("table.grid tbody tr[data-key]", (rows) => rows.map(({ dataset }) => dataset.key));
  const alive = [];
  for (const id of shown) if ((await adSet(id)).status === "ACTIVE" && alive.length < 2) alive.push(id);
  for (const id of alive) await tab.page.click(`tr[data-key="${id}"] input[type=checkbox]`);
  await tab.page.click(".bulk >> text=More");
  tab.expected.add(400);
  // A text that would make a name too long is refused for each, before anything is changed.
  await tab.page.fill("dialog[open] input", "x".repeat(390));
  await tab.page.waitForSelector("dialog[open] .refusals:has-text('400 characters')");
  await tab.page.click("dialog[open] >> text=Text after");
  await tab.page.fill("dialog[open] input", " (autumn)");
  await tab.page.waitForSelector("dialog[open] td:has-text('(autumn)')");
  await tab.page.screenshot({ path: join(screenshots, "change-of-many.png") });
  await tab.page.click("dialog[open] button[type=submit]");
  for (const id of alive) await until(() => adSet(id), ({ name }) => name.endsWith(" (autumn)"));
  await tab.page.click(".toast button:has-text('Undo')");
  for (const id of alive) await until(() => adSet(id), ({ name }) => !name.endsWith(" (autumn)"));

  for (const id of alive) await tab.page.click(`tr[data-key="${id}"] input[type=checkbox]`);
  await tab.page.click(".bulk >> text=More");
  await tab.page.selectOption("dialog[open] select", "end");
  await tab.page.fill("dialog[open] input", "2030-12-24T18:00");
  await tab.page.waitForSelector("dialog[open] td:has-text('2030')");
  await tab.page.click("dialog[open] button[type=submit]");
  for (const id of alive) await until(() => adSet(id), ({ end }) => end?.startsWith("2030-12-24T"));
  await tab.page.click(".toast button:has-text('Undo')");
  for (const id of alive) await until(() => adSet(id), ({ end }) => end === undefined);
}

export async function a_campaign_gets_a_time_to_pause_and_loses_it({ open, system, screenshots }) {
  const { tab, account } = await table(open, system);
  const [{ id }] = (await system.api(`ad-accounts/${account.id}/campaigns?effective_status=ACTIVE&limit=1`)).data;
  await tab.page.goto(`${system.url}/w/demo/${account.id}/campaigns/${id}`);
  const card = tab.page.locator("section[aria-label=Schedule]");
  await card.getByLabel("What").selectOption("pause");
  tab.expected.add(400);
  await card.getByLabel(/^When/).fill("2020-01-01T18:00");
  await card.getByRole("button", { name: "Schedule" }).click();
  await card.locator("[role=alert]:has-text('is over')").waitFor();
  await card.getByLabel(/^When/).fill("2030-12-24T18:00");
  await card.getByRole("button", { name: "Schedule" }).click();
  await card.locator("[data-schedule=pause]:has-text('2030')").waitFor();
  await card.scrollIntoViewIfNeeded();
  await tab.page.screenshot({ path: join(screenshots, "schedule.png") });
  const stored = () => system.api(`ad-accounts/${account.id}/campaigns/${id}/schedules/pause`);
  assert.deepEqual([(await stored()).at, (await stored()).state], ["2030-12-24T18:00:00", "scheduled"]);
  await card.getByRole("button", { name: "Cancel" }).click();
  await until(stored, ({ state }) => state === "cancelled");
  await card.locator("[data-schedule=pause]").waitFor({ state: "detached" });
}

export async function an_amount_is_read_as_the_persons_language_writes_it({ open, system }) {
  const [account] = (await system.api("ad-accounts?selected=true")).data;
  const tab = await open({ locale: "de-DE" });
  await tab.signIn();
  await tab.go("Campaigns");
  const row = tab.page.locator("table.grid tbody tr[data-key]:has(.in-place)").nth(2);
  const id = await row.getAttribute("data-key");
  let sent = 0;
  tab.page.on("request", (request) => request.method() === "PATCH" && (sent += 1));
  const cell = tab.page.locator(`tr[data-key="${id}"]`);
  await cell.locator(".in-place").click();
  const field = cell.locator(".editor input");
  assert.match(await field.inputValue(), /^\d+,\d\d$/);
  await field.press("Enter");
  await field.waitFor({ state: "detached" });
  assert.equal(sent, 0, "what was not changed is not sent");
  await cell.locator(".in-place").click();
  // In German this is a thousand times as much, or a mistake: it is not guessed.
  await field.fill("50.00");
  await field.press("Enter");
  await cell.locator(".refusal").waitFor();
  await field.fill("1.050,50");
  await field.press("Enter");
  await tab.page.waitForSelector(".toast:has-text('1.050,50')");
  assert.equal(sent, 1);
  assert.equal((await system.api(`ad-accounts/${account.id}/campaigns/${id}`)).daily_budget.amount, 105_050);
  await tab.page.click(".toast button:has-text('Undo')");
  await tab.page.waitForSelector(".toast:has-text('Undone')");
}

export async function a_change_far_down_moves_nothing_else({ open }) {
  const tab = await open();
  await tab.signIn();
  await tab.go("Campaigns");
  await tab.page.click("[aria-label=Level] >> text=Ads");
  await tab.page.waitForFunction(() => Number(document.querySelector("table.grid")?.ariaRowCount) > 200);
  await tab.settled();
  await tab.page.$eval(".grid-scroll", (scroller) => (scroller.scrollTop = scroller.scrollHeight));
  const state = () => tab.page.$eval(".grid-scroll", (scroller) => [scroller.scrollTop, scroller.querySelector("table").ariaRowCount]);
  await tab.page.waitForTimeout(100);
  const before = await state();
  const row = tab.page.locator("table.grid tbody tr[data-key]:has([aria-checked=true])").last();
  await row.scrollIntoViewIfNeeded();
  const shown = await state();
  await row.locator("[role=switch]").click();
  await tab.page.waitForSelector(".toast:has-text('Paused')");
  for (let looks = 0; looks < 10; looks += 1) {
    assert.deepEqual(await state(), shown, `while rows are read again (${before})`);
    await tab.page.waitForTimeout(100);
  }
  await tab.page.keyboard.press("z");
  await tab.page.waitForSelector(".toast:has-text('Undone')");
}

export async function launch_defaults_are_not_saved_over_what_somebody_else_saved({ open, system }) {
  const tab = await open();
  await tab.signIn("editor");
  await tab.go("Settings");
  const [account] = (await system.api("ad-accounts?selected=true")).data;
  const form = tab.page.locator("section[aria-label='Launch defaults']").first();
  const save = async (domain) => {
    await form.getByLabel("Conversion domain").fill(domain);
    await form.getByRole("button", { name: "Save" }).click();
  };
  const stored = () => system.api(`ad-accounts/${account.id}/defaults`);
  await save("shop.example.com");
  await tab.page.waitForSelector(".toast:has-text('are saved')");
  assert.equal((await stored()).domain, "shop.example.com");
  await system.api(`ad-accounts/${account.id}/defaults`, { method: "PUT", body: { domain: "theirs.example.com" } });
  tab.expected.add(412);
  await save("again.example.com");
  await form.getByRole("alert").waitFor();
  assert.equal((await stored()).domain, "theirs.example.com");
  await form.getByRole("button", { name: "Show what was saved instead" }).click();
  await tab.page.waitForFunction(() => [...document.querySelectorAll("input")].some(({ value }) => value === "theirs.example.com"));
  await save("mine.example.com");
  await tab.page.waitForSelector(".toast:has-text('are saved') >> nth=1");
  assert.equal((await stored()).domain, "mine.example.com");
  await system.api(`ad-accounts/${account.id}/defaults`, { method: "PUT", body: {} });
}
