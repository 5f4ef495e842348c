// Runs our Worker and the reference side by side in one workerd, for measurements: prints their URLs and the signed
// bodies to send, and ends when its input is closed. The queue has no consumer here, so only the ingestion is measured.
import { createHmac } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

const { packages, bundle, bodies, starts } = JSON.parse(process.argv[2]);
const { createTestHarness } = await import(pathToFileURL(`${packages}/wrangler/wrangler-dist/cli.js`).href);
const write = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
console.log = console.info = console.warn = console.debug = console.error;

const secret = "0123456789abcdef0123456789abcdef";
const worker = (name, main) => ({
  name,
  main,
  compatibility_date: "2026-10-01",
  queues: {
    producers: [
      { binding: "WEBHOOK_QUEUE", queue: "changes" },
      { binding: "WEBHOOK_DEAD_LETTERS", queue: "dead-letters" },
    ],
  },
  vars: {
    META_APP_SECRET: secret,
    META_VERIFY_TOKEN: "verify",
    AWS_ACCESS_KEY_ID: "bench",
    AWS_SECRET_ACCESS_KEY: "bench",
    AWS_REGION: "us-east-1",
    WEBHOOK_QUEUE_URL: "http://127.0.0.1:9/bench",
  },
});
const ours = { config: worker("ours", `${bundle}/index.js`), prebuiltWorkerDir: bundle };
const reference = { config: worker("reference", `${import.meta.dirname}/reference.mjs`) };

// One change of the requested size: the cost depends on the bytes that are signed and read.
function body(bytes) {
  const change = (text) => ({
    object: "ad_account",
    entry: [
      {
        id: "77",
        time: 1796000000,
        changes: [
          { field: "with_issues_ad_objects", value: { id: "23", level: "AD", error_message: text } },
        ],
      },
    ],
  });
  const frame = JSON.stringify(change("")).length;
  return JSON.stringify(change("x".repeat(bytes - frame)));
}

const signed = (text) => `sha256=${createHmac("sha256", secret).update(text).digest("hex")}`;
const headers = (text) => ({ "content-type": "application/json", "x-hub-signature-256": signed(text) });

// The first response of a Worker whose code has not run in this process yet.
async function firstResponse(which) {
  const server = createTestHarness({ workers: [which] });
  const { url } = await server.listen();
  const text = body(1024);
  const began = performance.now();
  const response = await fetch(new URL("/v1/webhooks/meta", url), { method: "POST", body: text, headers: headers(text) });
  await response.text();
  const took = performance.now() - began;
  await server.close();
  if (response.status !== 200) throw new Error(`a first response of ${response.status}`);
  return took;
}

const first = { ours: [], reference: [] };
for (let round = 0; round < starts; round += 1) {
  first.ours.push(await firstResponse(ours));
  first.reference.push(await firstResponse(reference));
}

const folder = `${packages}/../bench`;
await mkdir(folder, { recursive: true });
const files = [];
for (const kb of bodies) {
  const text = body(kb * 1024);
  const path = `${folder}/${kb}.json`;
  await writeFile(path, text);
  files.push({ kb, path, signature: signed(text) });
}
const servers = [createTestHarness({ workers: [ours] }), createTestHarness({ workers: [reference] })];
const [oursAt, referenceAt] = await Promise.all(servers.map((server) => server.listen()));
const path = (url) => new URL("/v1/webhooks/meta", url).href;
write({ ours: path(oursAt.url), reference: path(referenceAt.url), bodies: files, first });
process.stdin.resume();
await new Promise((resolve) => process.stdin.on("end", resolve));
await Promise.all(servers.map((server) => server.close()));
process.exit(0);
