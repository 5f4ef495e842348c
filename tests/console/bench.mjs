// How long a person waits in the console, on an ad account of 2,000 campaigns and 5,000 ads: from the address to the first
// numbers, for a sort, a key of the search, all selected, and while scrolling.
//
// node bench.mjs ADFLIGHT PACKAGES CHECKERS OUTPUT

import { join } from "node:path";
import { Console, launch } from "./browser.mjs";
import { System } from "./system.mjs";

const [program, packages, checkers, output] = process.argv.slice(2);
const account = ["--campaigns", "2000", "--adsets", "2500", "--ads", "5000"];
const [system, chromium] = await Promise.all([System.start(program, join(output, "bench"), account), launch(packages, checkers)]);
const print = (what, ms, note = "") => console.log(`   ${what.padEnd(52)} ${ms.toFixed(0).padStart(6)} ms ${note}`);

/** Returns how long statements take until the next frame is painted. The debugger runs them: the page's policy allows no text as code. */
const timed = (page, statements) => page.evaluate(`(async () => {
  const frame = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
  await frame();
  const began = performance.now();
  ${statements};
  await frame();
  return performance.now() - began;
})()`);

try {
  const tab = await Console.open(chromium, system);
  await tab.signIn();
  // The issuer knows the browser now, so this is what every further visit costs.
  const began = performance.now();
  await tab.page.goto(`${system.url}/w/demo/overview`);
  await tab.page.waitForFunction(() => /\d/.test(document.querySelector("[data-measure=spend] .value")?.textContent ?? ""));
  print("overview: from the address to the first numbers", performance.now() - began, "(with a silent sign-in)");

  for (const [level, rows] of [["campaign", 2000], ["ad", 5000]]) {
    const started = performance.now();
    await tab.page.evaluate((level) => {
      const link = document.querySelector("nav.side a[href*='/campaigns']");
      link.search = `?level=${level}&chart=none`;
      link.click();
    }, level);
    await tab.page.waitForSelector("table.grid tbody tr[data-key]");
    print(`${level}s: to the first rows`, performance.now() - started);
    await tab.page.waitForFunction((count) => document.querySelector("table.grid")?.ariaRowCount >= count && !document.querySelector(".grid-scroll[aria-busy=true]"), rows, { timeout: 120_000 });
    print(`${level}s: to all ${rows} rows`, performance.now() - started);
    const times = [];
    for (const label of ["ROAS", "Purchases", "Spend", "CTR (all)", "Spend"]) {
      times.push(await timed(tab.page, `[...document.querySelectorAll("thead button")].find((one) => one.textContent === ${JSON.stringify(label)}).click()`));
    }
    times.sort((a, b) => a - b);
    print(`${level}s: sort ${rows} rows, median and worst of 5`, times[2], `${times[4].toFixed(0)} ms`);
    print(`${level}s: a key of the search`, await timed(tab.page, `
      const input = document.querySelector("[data-find]");
      input.value = "a"; input.dispatchEvent(new Event("input", { bubbles: true }))`));
    await timed(tab.page, `const input = document.querySelector("[data-find]"); input.value = ""; input.dispatchEvent(new Event("input", { bubbles: true }))`);
    print(`${level}s: select all`, await timed(tab.page, `document.querySelector("thead input").click()`));
    await timed(tab.page, `document.querySelector("thead input").click()`);
    const { frames, blank } = await tab.page.evaluate(async () => {
      const scroller = document.querySelector(".grid-scroll");
      const frames = [];
      let blank = 0;
      let last = performance.now();
      for (let step = 0; step < 120; step += 1) {
        scroller.scrollTop += 460;
        await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
        const now = performance.now();
        frames.push(now - last);
        last = now;
        const { top, height } = scroller.getBoundingClientRect();
        const middle = document.elementFromPoint(500, top + height / 2);
        if (!middle?.closest("tr[data-key]")) blank += 1;
      }
      return { frames: frames.sort((a, b) => a - b), blank };
    });
    print(`${level}s: scroll 460 px a frame, median and p95`, frames[60], `${frames[114].toFixed(0)} ms, ${blank} blank frames`);
  }
  const { elements } = await tab.page.evaluate(() => ({ elements: document.querySelectorAll("*").length }));
  console.log(`   ${elements} elements on the page`);
  await tab.context.close();
  if (tab.problems.length > 0) throw new Error(tab.problems.join("; "));
} finally {
  await chromium.browser.close();
  await system.stop();
}
