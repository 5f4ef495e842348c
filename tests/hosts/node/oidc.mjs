// A third-party OpenID Connect provider, on loopback: `node oidc.mjs PACKAGES`. It answers each line of JSON on its
// input with one on its output, and ends when its input is closed.
//   {"do":"token","alg":"ES256","claims":{...}}  a machine token, signed with this algorithm
//   {"do":"rotate"}                              replaces the keys
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const packages = createRequire(join(process.argv[2], "of-the-packages.js"));
const { Provider } = await import(pathToFileURL(packages.resolve("oidc-provider")));

const AUDIENCE = "adflight";
const client = { client_id: "machine", client_secret: randomUUID() };
// The provider's messages to people would mix with the JSON lines.
console.info = console.warn = console.error;

let provider;
let claims = {};
const server = createServer((request, response) => provider.callback()(request, response));
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

function keys() {
  const made = {
    EdDSA: generateKeyPairSync("ed25519"),
    ES256: generateKeyPairSync("ec", { namedCurve: "P-256" }),
    RS256: generateKeyPairSync("rsa", { modulusLength: 2048 }),
  };
  return Object.entries(made).map(([alg, { privateKey }]) => ({
    ...privateKey.export({ format: "jwk" }), alg, use: "sig", kid: randomUUID(),
  }));
}

function rotate() {
  provider = new Provider(issuer, {
    jwks: { keys: keys() },
    clients: [{ ...client, grant_types: ["client_credentials"], redirect_uris: [], response_types: [] }],
    extraTokenClaims: () => claims,
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_context, resource) => ({
          scope: "",
          audience: AUDIENCE,
          accessTokenFormat: "jwt",
          accessTokenTTL: 3600,
          jwt: { sign: { alg: new URL(resource).pathname.slice(1) } },
        }),
      },
    },
  });
}

async function token({ alg, claims: wanted }) {
  claims = wanted;
  const basic = Buffer.from(`${client.client_id}:${client.client_secret}`).toString("base64");
  const response = await fetch(`${issuer}/token`, {
    method: "POST",
    headers: { authorization: `Basic ${basic}` },
    body: new URLSearchParams({ grant_type: "client_credentials", resource: `https://api.example/${alg}` }),
  });
  if (!response.ok) throw new Error(await response.text());
  return (await response.json()).access_token;
}

rotate();
const write = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
write({ issuer });
for await (const line of createInterface({ input: process.stdin })) {
  try {
    const command = JSON.parse(line);
    write({ ok: command.do === "token" ? await token(command) : rotate() ?? null });
  } catch (error) {
    write({ error: String(error) });
  }
}
process.exit(0);
