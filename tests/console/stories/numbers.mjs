// Numbers on the page are the API's, to the last digit.

import assert from "node:assert/strict";

const english = (digits) => new Intl.NumberFormat("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits });

export async function leads_and_clicks_stand_where_there_are_no_sales({ open, system }) {
  const tab = await open();
  await tab.signIn();
  await tab.go("Campaigns");
  await tab.page.waitForSelector("table.grid tbody tr[data-key]");
  const [account] = (await system.api("ad-accounts?selected=true")).data;
  const measures = () => tab.page.$$eval(".tiles [data-measure]", (tiles) => tiles.map((tile) => tile.dataset.measure));
  assert.deepEqual((await measures()).slice(0, 3), ["purchase_value", "spend", "roas"]);
  for (const [kind, first] of [["Leads |", "leads"], ["Traffic |", "link_clicks"]]) {
    await tab.page.fill("[data-find]", kind);
    // While it is typed the totals of other rows are not shown.
    const total = tab.page.locator("tfoot td[data-column=spend] span");
    assert.equal(await total.textContent(), "…");
    await tab.page.waitForSelector(`.tiles .tile:first-child[data-measure=${first}]`);
    await tab.settled();
    const drawn = await tab.chart("campaigns");
    assert.deepEqual(drawn.series.map(({ measure }) => measure), [first, "spend"]);
    const [since, until] = [drawn.days[0], drawn.days.at(-1)];
    const { totals } = await system.api(`ad-accounts/${account.id}/campaigns?since=${since}&until=${until}&limit=1&q=${encodeURIComponent(kind)}`);
    const value = Number((await tab.page.textContent(`.tiles [data-measure=${first}] .value`)).replaceAll(",", ""));
    assert.equal(value, totals.measures[first]);
    assert.equal(drawn.series[0].values.reduce((sum, value) => sum + Number(value), 0), totals.measures[first]);
  }
}

export async function tiles_chart_and_totals_are_the_apis({ open, system }) {
  const tab = await open();
  await tab.signIn();
  await tab.settled();
  const [account] = (await system.api("ad-accounts?selected=true")).data;
  const mirror = await tab.chart("overview");
  const range = { since: mirror.days[0], until: mirror.days.at(-1) };
  assert.equal(mirror.days.length, 30);
  const ask = (dimensions, compare) => system.api("query", {
    method: "POST",
    body: { ad_accounts: [account.id], level: "account", measures: ["spend", "purchase_value", "roas"], dimensions, range, limit: 500, fill_zeros: true, ...(compare && { compare }) },
  });
  const daily = await ask(["day"], "previous_period");
  for (const { measure, values, previous } of mirror.series) {
    const known = (of) => mirror.days.map((day) => {
      const row = daily.data.find(({ dimensions }) => dimensions.day === day);
      const value = of(row ?? {})?.[measure];
      return value === undefined ? null : String(value);
    });
    assert.deepEqual(values, known((row) => row.measures), `${measure} by day`);
    assert.deepEqual(previous, known((row) => row.previous), `${measure} by day, of the period before`);
  }
  const whole = await ask([]);
  const tile = (name) => tab.page.textContent(`[data-measure=${name}] .value`);
  assert.equal(await tile("spend"), `${english(2).format(whole.totals.measures.spend)} ${account.currency}`);
  assert.equal(await tile("roas"), `${english(2).format(whole.totals.measures.roas)}×`);

  // The canvas draws what the mirror says.
  const drawn = await tab.page.$$eval(".plot canvas", (all) => all.map(({ width, height }) => width * height));
  assert.ok(drawn.length === 1 && drawn[0] > 100_000, `${drawn}`);
  await tab.page.click("text=Show as table");
  await tab.page.waitForSelector("table.plain tbody tr");
  const first = await tab.page.$$eval("table.plain tbody tr:first-child .number", (cells) => cells.map(({ textContent }) => textContent));
  assert.deepEqual(first, mirror.series.map(({ values }) => english(2).format(values[0])));

  // The campaigns' totals row says the same as the account.
  await tab.go("Campaigns");
  await tab.settled();
  const total = await tab.page.textContent("tfoot td[data-column=spend] span");
  assert.equal(total, english(2).format(whole.totals.measures.spend));
}

export async function breakdowns_are_measured_when_somebody_asks({ open, system }) {
  const tab = await open();
  await tab.signIn("owner", "/w/demo/overview?range=last_7d");
  await tab.page.click("[data-breakdown=platform] button:has-text('Load breakdowns')");
  await tab.page.waitForSelector("[data-breakdown=platform] .bars li", { timeout: 60_000 });
  await tab.page.waitForFunction(() => document.querySelectorAll("[data-breakdown] .bars").length === 4 && !document.body.innerText.includes("being measured now"), undefined, { timeout: 60_000 });
  const { days } = await tab.chart("overview");
  const [account] = (await system.api("ad-accounts?selected=true")).data;
  const answer = await system.api("query", {
    method: "POST",
    body: { ad_accounts: [account.id], level: "account", measures: ["spend"], dimensions: ["publisher_platform"], range: { since: days[0], until: days.at(-1) } },
  });
  const { bars } = await tab.chart("platform");
  assert.deepEqual(bars.map(({ value }) => value).sort(), answer.data.map(({ measures }) => measures.spend).sort());
}
