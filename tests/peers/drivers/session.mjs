// Drives the TypeScript SDK's client: `session.mjs URL MODE`, steps as a JSON array on standard input.
//
// MODE is `legacy`, `auto` or a modern revision. The steps and the report are those of session.py.

import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { text } from "node:stream/consumers";

const STEP_DEADLINE = 60_000;

const verbs = {
  tools: (client) => client.listTools(),
  prompts: (client) => client.listPrompts(),
  resources: (client) => client.listResources(),
  templates: (client) => client.listResourceTemplates(),
  prompt: (client, step) => client.getPrompt({ name: step.name, arguments: step.arguments }),
  read: (client, step) => client.readResource({ uri: step.uri }),
  complete: (client, step) => client.complete({
    ref: step.ref,
    argument: step.argument,
    ...(step.context ? { context: { arguments: step.context } } : {}),
  }),
  call: (client, step, options) => client.callTool({ name: step.name, arguments: step.arguments }, options),
};

async function attempt(client, step) {
  const progress = [];
  const options = { timeout: STEP_DEADLINE };
  if (step.progress) {
    options.onprogress = (event) => progress.push(event);
  }
  try {
    return { ok: await verbs[step.do](client, step, options), progress };
  } catch (error) {
    return { error: { code: error.code ?? null, message: String(error.message) } };
  }
}

const [url, mode] = process.argv.slice(2);
const steps = JSON.parse(await text(process.stdin));
const negotiation = mode === "legacy" || mode === "auto" ? mode : { pin: mode };
const client = new Client({ name: "weir-tests", version: "1" }, { versionNegotiation: { mode: negotiation } });
await client.connect(new StreamableHTTPClientTransport(new URL(url)));

const results = [];
for (const step of steps) {
  results.push(await attempt(client, step));
}
const report = {
  version: client.getNegotiatedProtocolVersion(),
  server: client.getServerVersion()?.name ?? null,
  steps: results,
};
await client.close();
process.stdout.write(JSON.stringify(report));
