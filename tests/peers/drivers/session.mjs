// Drives the TypeScript SDK's client: `session.mjs TARGET MODE [asked]`, steps as a JSON array on standard input.
//
// TARGET is as for session.py. MODE is `legacy`, `auto` or a modern revision. The steps and the report are those of session.py.

import { Client, SSEClientTransport, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { text } from "node:stream/consumers";

const STEP_DEADLINE = 60_000;

const messages = [];
const isModern = (client) => client.getNegotiatedProtocolVersion() >= "2026-07-28";

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
  // Log messages arrive before the answer, in order.
  log: async (client, step) => {
    const params = { name: step.name, arguments: step.arguments };
    if (isModern(client)) {
      params._meta = { "io.modelcontextprotocol/logLevel": step.level };
    } else {
      await client.setLoggingLevel(step.level);
    }
    messages.length = 0;
    await client.callTool(params);
    return messages.map((message) => message.data);
  },
  watch: async (client, step) => {
    const { uri } = step;
    const updated = new Promise((resolve) => {
      client.setNotificationHandler("notifications/resources/updated", ({ params }) => resolve(params.uri));
    });
    const modern = isModern(client);
    const stream = modern ? await client.listen({ resourceSubscriptions: [uri] }) : await client.subscribeResource({ uri });
    await client.callTool({ name: step.name, arguments: step.arguments });
    const update = await updated;
    await (modern ? stream.close() : client.unsubscribeResource({ uri }));
    return update;
  },
  call: (client, step, options) => client.callTool({ name: step.name, arguments: step.arguments }, options),
};

// What servers ask is answered as session.py says.
let action = "accept";
let asked = [];
const VALUES = { string: "Ada", boolean: true, integer: 7, number: 7 };

function answerQuestions(client) {
  client.setRequestHandler("elicitation/create", async ({ params }) => {
    asked.push(["elicitation/create", params.message]);
    if (action !== "accept" || !params.requestedSchema) {
      return { action };
    }
    const { properties, required = [] } = params.requestedSchema;
    return { action, content: Object.fromEntries(required.map((name) => [name, VALUES[properties[name].type]])) };
  });
  client.setRequestHandler("sampling/createMessage", async ({ params }) => {
    asked.push(["sampling/createMessage", null]);
    const content = { type: "text", text: `sampled: ${params.messages.at(-1).content.text}` };
    return { role: "assistant", model: "none", content, stopReason: "endTurn" };
  });
  client.setRequestHandler("roots/list", async () => {
    asked.push(["roots/list", null]);
    return { roots: [{ uri: "file:///work", name: "work" }] };
  });
}

async function attempt(client, step) {
  action = step.action ?? "accept";
  asked = [];
  const progress = [];
  const options = { timeout: STEP_DEADLINE };
  if (step.progress) {
    options.onprogress = (event) => progress.push(event);
  }
  try {
    return { ok: await verbs[step.do](client, step, options), progress, asked };
  } catch (error) {
    return { error: { code: error.code ?? null, message: String(error.message) }, asked };
  }
}

function transport(target) {
  if (target.startsWith("[")) {
    const [command, ...args] = JSON.parse(target);
    return new StdioClientTransport({ command, args });
  }
  if (target.startsWith("sse:")) {
    return new SSEClientTransport(new URL(target.slice("sse:".length)));
  }
  return new StreamableHTTPClientTransport(new URL(target));
}

const [target, mode, isAsked] = process.argv.slice(2);
const steps = JSON.parse(await text(process.stdin));
const negotiation = mode === "legacy" || mode === "auto" ? mode : { pin: mode };
const capabilities = isAsked ? { elicitation: { form: {}, url: {} }, sampling: { tools: {} }, roots: {} } : {};
const client = new Client({ name: "weir-tests", version: "1" }, { versionNegotiation: { mode: negotiation }, capabilities });
if (isAsked) {
  answerQuestions(client);
}
client.setNotificationHandler("notifications/message", ({ params }) => void messages.push(params));
await client.connect(transport(target));

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
