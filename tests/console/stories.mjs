// What people do in the console, in Chromium, on the product as `cargo run` starts it.
//
// node stories.mjs ADFLIGHT PACKAGES CHECKERS OUTPUT [STORY]: the program, the folders of node_modules with Chromium and with
// the checkers, a folder for data and screenshots, and the one story to run.

import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { Console, launch } from "./browser.mjs";
import { System } from "./system.mjs";

const [program, packages, checkers, output, only] = process.argv.slice(2);
const screenshots = join(output, "screenshots");
rmSync(screenshots, { recursive: true, force: true });
mkdirSync(screenshots, { recursive: true });

const modules = ["sign_in", "numbers", "campaigns", "writes", "launch", "rules", "live", "roles", "connect", "pages", "formats", "outage"];
const [system, chromium] = await Promise.all([System.start(program, join(output, "data")), launch(packages, checkers)]);
const failures = [];
const began = performance.now();
try {
  for (const module of modules) {
    const stories = await import(`./stories/${module}.mjs`);
    for (const [name, story] of Object.entries(stories)) {
      if (only && only !== name && only !== module) continue;
      const started = performance.now();
      const opened = [];
      const open = async (options) => {
        const tab = await Console.open(chromium, system, options);
        opened.push(tab);
        return tab;
      };
      try {
        await story({ system, chromium, open, screenshots });
        for (const tab of opened) await tab.close();
        console.log(`   ${name}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
      } catch (error) {
        failures.push(name);
        console.error(`   ${name} failed: ${error.stack ?? error}`);
        for (const tab of opened) {
          await tab.page.screenshot({ path: join(screenshots, `failed-${name}.png`) }).catch(() => {});
          console.error(`   at ${tab.page.url()}${error.code === "ERR_ASSERTION" ? "" : `: ${tab.problems.slice(0, 5).join("; ")}`}`);
          await tab.context.close().catch(() => {});
        }
      }
    }
  }
} finally {
  await chromium.browser.close();
  await system.stop();
}
if (failures.length > 0) {
  console.error(`failed: ${failures.join(", ")}; pictures are in ${screenshots}`);
  process.exit(1);
}
console.log(`   The console does what it is for: ${((performance.now() - began) / 1000).toFixed(0)} s`);
