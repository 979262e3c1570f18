// Drives the tasks of the TypeScript SDK for 2025-11-25: `tasks.mjs URL TOOL ARGUMENTS`, the arguments as JSON. Calls the tool as
// a task, as the SDK does it, and reports the types of what came and the statuses, what the user was asked, which notifications
// came, and the text of the result.

import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { CallToolResultSchema, ElicitRequestSchema, TaskStatusNotificationSchema } from "@modelcontextprotocol/sdk/types.js";

const [url, name, args] = process.argv.slice(2);
const report = { steps: [], asked: [], told: [], text: null, error: null };
const client = new Client({ name: "weir-tests", version: "1" }, { capabilities: { elicitation: { form: {} } } });
client.setRequestHandler(ElicitRequestSchema, async ({ params }) => {
  report.asked.push(params.message);
  return { action: "accept", content: { interpretation: "snake" } };
});
client.setNotificationHandler(TaskStatusNotificationSchema, ({ params }) => void report.told.push([params.taskId, params.status]));
await client.connect(new StreamableHTTPClientTransport(new URL(url)));
await client.listTools();
const options = { timeout: 60_000 };
const call = { name, arguments: JSON.parse(args) };
for await (const message of client.experimental.tasks.callToolStream(call, CallToolResultSchema, options)) {
  const { type, task, result, error } = message;
  report.steps.push(task ? [type, task.taskId, task.status] : [type]);
  report.text ??= result?.content[0].text ?? null;
  report.error ??= error?.message ?? null;
}
await client.close();
process.stdout.write(JSON.stringify(report));
