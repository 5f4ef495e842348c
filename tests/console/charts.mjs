// How long the console's chart takes for ten lines of 2,160 points, beside React with Recharts: from the call to the
// frame in which it is painted. Both are built alike, and take turns.
//
// node charts.mjs PACKAGES CHECKERS PAGE CHARTS: the packages of Chromium, of axe, of the console's page, and of charts/.

import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { launch } from "./browser.mjs";

const [packages, checkers, page, charts] = process.argv.slice(2);
const { build } = createRequire(resolve(page, "package.json"))("esbuild");
const here = join(dirname(fileURLToPath(import.meta.url)), "charts");
const ROUNDS = 9;
const LINES = 10;
const POINTS = 2160;

/** Builds one of the charts, with the packages of its own. */
async function bundle(source, packages, jsxImportSource) {
  const { outputFiles } = await build({
    entryPoints: [join(here, source)], nodePaths: [join(resolve(packages), "node_modules")], bundle: true, write: false, minify: true,
    format: "iife", target: "es2023", jsx: "automatic", jsxImportSource, define: { "process.env.NODE_ENV": '"production"' },
  });
  return outputFiles[0].text;
}

const median = (times) => [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)];

const chromium = await launch(packages, checkers);
try {
  const both = [["uPlot, as the console draws", await bundle("ours.ts", page, "preact")], ["React with Recharts", await bundle("recharts.tsx", charts, "react")]];
  const pages = await Promise.all(both.map(async ([, script]) => {
    const tab = await chromium.browser.newPage({ locale: "en-GB", viewport: { width: 1440, height: 900 } });
    await tab.setContent("<!doctype html><style>:root { --text-3: #5f6875; --line: #e2e5ea; --chart-main: #2b62d9; --chart-spend: #c65a00 }</style><div id=host style='width: 1100px'></div>");
    await tab.addScriptTag({ content: script });
    return tab;
  }));
  const times = both.map(() => ({ script: [], painted: [] }));
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [index, tab] of pages.entries()) {
      await tab.bringToFront();
      const { script, painted, marks } = await tab.evaluate(async ({ lines, points, round }) => {
        const days = Array.from({ length: points }, (_, at) => new Date(Date.UTC(2020, 0, 1 + at)).toISOString().slice(0, 10));
        const series = Array.from({ length: lines }, (_, line) =>
          days.map((_, at) => 500 + 40 * line + 200 * Math.sin((at + round) / (20 + line)) + ((at * 7919 + line * 104_729) % 97)));
        const frame = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
        await frame();
        const host = document.querySelector("#host");
        const began = performance.now();
        const end = window.draw(host, { days, series });
        const script = performance.now() - began;
        await frame();
        const painted = performance.now() - began;
        const marks = host.querySelectorAll("canvas, path.recharts-line-curve").length;
        end();
        host.replaceChildren();
        return { script, painted, marks };
      }, { lines: LINES, points: POINTS, round });
      if (marks !== [1, LINES][index]) throw new Error(`${both[index][0]} drew ${marks} things`);
      // The first round warms up.
      if (round > 0) {
        times[index].script.push(script);
        times[index].painted.push(painted);
      }
    }
  }
  console.log(`   A chart of ${LINES} lines of ${POINTS} points, median of ${ROUNDS - 1}:`);
  const reference = median(times[1].painted);
  for (const [index, [name, script]] of both.entries()) {
    const painted = median(times[index].painted);
    const size = (gzipSync(script, { level: 9 }).length / 1000).toFixed(0);
    console.log(`   ${name.padEnd(30)} painted after ${painted.toFixed(0).padStart(4)} ms (worst ${Math.max(...times[index].painted).toFixed(0)}), script ${median(times[index].script).toFixed(0)} ms, ${(reference / painted).toFixed(1)}x, ${size} KB gzip`);
  }
} finally {
  await chromium.browser.close();
}
