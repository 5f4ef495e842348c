// The pictures of the console in the documents: an ad account as `cargo run` has it, with its breakdowns measured.
//
// node pictures.mjs ADFLIGHT PACKAGES CHECKERS DATA FOLDER

import { join } from "node:path";
import { Console, launch } from "./browser.mjs";
import { System } from "./system.mjs";

const [program, packages, checkers, data, folder] = process.argv.slice(2);
const [system, chromium] = await Promise.all([System.start(program, join(data, "pictures")), launch(packages, checkers)]);
const campaigns = async (tab) => {
  await tab.page.goto(`${system.url}/w/demo/campaigns`);
  await tab.page.waitForSelector("table.grid tbody tr[data-key]");
};

/** What is shown, each with the size of its picture. */
const PICTURES = {
  "overview-light": [{ viewport: { width: 1440, height: 1060 } }, async (tab) => {
    // Meta is asked for the breakdowns of the days that are shown.
    await tab.page.click("text=Load breakdowns >> nth=0");
    await tab.page.waitForFunction(
      () => document.querySelectorAll("[data-breakdown] [data-chart]").length === 4 && !document.body.textContent.includes("being measured"),
      undefined, { timeout: 180_000 });
  }],
  "campaign-light": [{ viewport: { width: 1440, height: 1060 } }, async (tab) => {
    await campaigns(tab);
    await tab.page.click("table.grid tbody .name a >> nth=0");
    await tab.page.waitForSelector(".facts dl");
  }],
  "ads-dark": [{ viewport: { width: 1440, height: 900 }, colorScheme: "dark" }, async (tab) => {
    await campaigns(tab);
    await tab.page.click("[aria-label=Level] >> text=Ads");
    await tab.page.waitForSelector(".thumbnail img");
  }],
  "campaigns-phone": [{ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true }, campaigns],
};

try {
  for (const [name, [options, show]] of Object.entries(PICTURES)) {
    const tab = await Console.open(chromium, system, options);
    await tab.signIn();
    await tab.settled();
    await show(tab);
    await tab.settled();
    await tab.page.screenshot({ path: join(folder, `${name}.png`) });
    await tab.close();
  }
} finally {
  await chromium.browser.close();
  await system.stop();
}
