// What the console's pages show of ad accounts, as JSON: the tiles and the first rows of each level, as texts.
//
// node screens.mjs PACKAGES CHECKERS URL ACCOUNTS

import { Console, launch } from "../console/browser.mjs";

const [packages, checkers, url, accounts] = process.argv.slice(2);
const chromium = await launch(packages, checkers);
const pages = [];
try {
  const tab = await Console.open(chromium, { url });
  await tab.signIn();
  const tiles = () => tab.page.$$eval("[data-measure]", (all) => Object.fromEntries(all.map((tile) => [tile.dataset.measure, tile.querySelector(".value").textContent])));
  for (const account of JSON.parse(accounts)) {
    for (const [range, days] of [["last_7d", 7], ["last_30d", 30]]) {
      const at = async (page, query, ready) => {
        await tab.page.goto(`${url}/w/demo/${page}?range=${range}&compare=none${query}`);
        await tab.page.waitForSelector(ready);
        await tab.settled();
      };
      await at("overview", `&accounts=${account}`, "[data-measure=spend] .value");
      await tab.page.waitForFunction(() => /\d/.test(document.querySelector("[data-measure=spend] .value").textContent));
      const shown = await tiles();
      const currency = (await tab.page.textContent("[data-measure=spend] .value")).match(/[A-Z]{3}/)[0];
      pages.push({ page: "overview", account, days, level: "account", currency, tiles: shown, rows: [] });
      for (const level of ["campaign", "adset", "ad"]) {
        await at(`${account}/campaigns`, `&level=${level}`, "table.grid tbody tr[data-key]");
        await tab.page.waitForFunction(() => /\d/.test(document.querySelector("[data-measure=spend] .value").textContent));
        pages.push({ page: `${level}s`, account, days, level, currency, tiles: await tiles(), rows: await tab.rows() });
      }
    }
  }
  await tab.close();
} finally {
  await chromium.browser.close();
}
console.log(JSON.stringify(pages));
