// Builds the page: node build.mjs PACKAGES OUTPUT, the folder of node_modules and the folder to write to. The output
// follows from the sources and the locked packages alone.

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const [packages, output] = process.argv.slice(2).map((path) => resolve(path));
const from = createRequire(join(packages, "package.json"));
const { build } = from("esbuild");
const web = dirname(fileURLToPath(import.meta.url));
const modules = join(packages, "node_modules");

const { metafile, outputFiles } = await build({
  absWorkingDir: web,
  entryPoints: { app: "src/main.tsx", style: "src/style/main.css" },
  outdir: join(output, "assets"),
  nodePaths: [modules],
  // Names and order must not depend on where the packages really are.
  preserveSymlinks: true,
  bundle: true,
  splitting: true,
  format: "esm",
  minify: true,
  target: "es2023",
  jsx: "automatic",
  jsxImportSource: "preact",
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  publicPath: "/assets",
  loader: { ".woff2": "file", ".svg": "file" },
  legalComments: "none",
  metafile: true,
  write: false,
});

rmSync(output, { recursive: true, force: true });
mkdirSync(join(output, "assets"), { recursive: true });
for (const file of outputFiles) writeFileSync(file.path, file.contents);

/** Returns the address of the output of a source. */
const address = (wanted) => {
  const found = Object.entries(metafile.outputs).find(([, { entryPoint, inputs }]) =>
    entryPoint ? entryPoint === wanted : Object.keys(inputs).length === 1 && Object.keys(inputs)[0].endsWith(wanted));
  if (!found) throw new Error(`nothing was built of ${wanted}`);
  return `/assets/${basename(found[0])}`;
};

// What the first page needs is asked for at once: the chunks that the entry imports.
const entry = Object.values(metafile.outputs).find(({ entryPoint }) => entryPoint === "src/main.tsx");
const chunks = entry.imports.filter(({ kind }) => kind === "import-statement").map(({ path }) => `/assets/${basename(path)}`);

const used = new Set(Object.keys(metafile.inputs).map((input) => input.match(/node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1]));
used.delete(undefined);
const licenses = [...used].sort().map((name) => {
  const folder = join(modules, name);
  const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = readdirSync(folder).find((file) => /^licen[cs]e/i.test(file));
  return `${name} ${version} (${license})\n\n${file ? readFileSync(join(folder, file), "utf8").trim() : ""}\n`;
}).join(`\n${"-".repeat(80)}\n\n`);
const digest = createHash("sha256").update(licenses).digest("hex").slice(0, 8);
writeFileSync(join(output, "assets", `licenses-${digest}.txt`), licenses);

// What Cloudflare sends with the files.
writeFileSync(join(output, "_headers"), "/assets/*\n  Cache-Control: public, max-age=31536000, immutable\n  X-Content-Type-Options: nosniff\n");

/** Returns the scripts that a script needs before it can run, itself included. */
function closure(output, found = new Set()) {
  if (found.has(output)) return found;
  found.add(output);
  for (const { path, kind } of metafile.outputs[output].imports) if (kind === "import-statement") closure(path, found);
  return found;
}

const outputOf = (source) => Object.keys(metafile.outputs).find((path) => metafile.outputs[path].entryPoint === source);
const kilobytes = (paths) => [...paths].reduce((sum, path) => {
  const { contents } = outputFiles.find((file) => file.path === resolve(web, path));
  return sum + gzipSync(contents, { level: 9 }).length / 1000;
}, 0);
const scripts = Object.keys(metafile.outputs).filter((path) => path.endsWith(".js"));
const needs = (...sources) => kilobytes(sources.reduce((found, source) => closure(outputOf(source), found), new Set()));
const sizes = [
  ["before the first numbers", needs("src/main.tsx", "src/pages/overview.tsx"), 45],
  ["with the chart", needs("src/main.tsx", "src/pages/overview.tsx", "src/parts/chart.tsx"), 70],
  ["campaigns alike", needs("src/main.tsx", "src/pages/campaigns.tsx", "src/parts/chart.tsx"), 80],
  ["all scripts", kilobytes(scripts), 120],
  ["style", kilobytes([outputOf("src/style/main.css")]), 10],
];
console.log(`   The page, gzipped: ${sizes.map(([name, size, budget]) => `${name} ${size.toFixed(1)} of ${budget} KB`).join(", ")}`);
const over = sizes.filter(([, size, budget]) => size > budget);
if (over.length > 0) throw new Error(`over its budget: ${over.map(([name]) => name).join(", ")}`);

const html = readFileSync(join(web, "index.html"), "utf8")
  .replace("{{icon}}", address("icon.svg"))
  .replace("{{font}}", address("geist-latin-wght-normal.woff2"))
  .replace("{{style}}", address("src/style/main.css"))
  .replace("{{script}}", address("src/main.tsx"))
  .replace("{{licenses}}", `/assets/licenses-${digest}.txt`)
  .replace("{{preload}}", chunks.map((chunk) => `<link rel="modulepreload" href="${chunk}">`).join("\n    "));
writeFileSync(join(output, "index.html"), html);
