"""Drives the Python SDK's client: `session.py TARGET MODE [asked]`, steps as a JSON array on standard input.

TARGET is the URL of streamable HTTP, `sse:` and the URL of HTTP+SSE, or a program and its arguments as a JSON array.

MODE is `legacy`, `auto` or a modern revision. Every step is `{"do": verb, ...}`; standard output gets one JSON object:
the revision spoken, the server's name, and per step `{"ok": result, "progress": [...]}` or `{"error": {code, message}}`.

With `asked` the client declares that it can be asked everything, and answers: to forms and URLs with the `action` of the step,
`accept` if it names none, each required field with a value of its type; to sampling with the prompt; to roots with one. Each step
then reports as `asked` what was asked, a list of `[method, what]`, where what is the message of an elicitation or null.
"""

import asyncio
import json
import sys

from mcp import MCPError, StdioServerParameters
from mcp.client.client import Client
from mcp.client.sse import sse_client
from mcp.types import (
    CreateMessageResult,
    ElicitResult,
    ListRootsResult,
    PromptReference,
    ResourceTemplateReference,
    ResourceUpdatedNotification,
    Root,
    SamplingCapability,
    SamplingToolsCapability,
    TextContent,
)

MODERN = "2026-07-28"
STEP_DEADLINE = 60


def plain(result):
    return result.model_dump(by_alias=True, mode="json", exclude_none=True)


def reference(ref):
    if ref["type"] == "ref/prompt":
        return PromptReference(type="ref/prompt", name=ref["name"])
    return ResourceTemplateReference(type="ref/resource", uri=ref["uri"])


async def all_pages(fetch, member):
    items, cursor = [], None
    while True:
        page = plain(await fetch(cursor=cursor))
        items += page[member]
        cursor = page.get("nextCursor")
        if cursor is None:
            return {member: items}


async def call(client, step):
    progress = []

    async def on_progress(done, total, message):
        progress.append({"progress": done, "total": total, "message": message})

    callback = on_progress if step.get("progress") else None
    result = await client.call_tool(step["name"], step.get("arguments"), progress_callback=callback)
    return {"ok": plain(result), "progress": progress}


async def log(client, step, messages):
    if client.protocol_version < MODERN:
        await client.set_logging_level(step["level"])
    messages.clear()
    await client.call_tool(step["name"], step.get("arguments"))
    return {"ok": [message.data for message in messages]}


async def watch(client, step, updates):
    uri = step["uri"]
    if client.protocol_version < MODERN:
        await client.subscribe_resource(uri)
        await client.call_tool(step["name"], step.get("arguments"))
        update = await updates.get()
        await client.unsubscribe_resource(uri)
        return {"ok": update}
    async with client.listen(resource_subscriptions=[uri]) as changes:
        await client.call_tool(step["name"], step.get("arguments"))
        return {"ok": (await anext(changes)).uri}


async def perform(client, step, messages, updates):
    match step["do"]:
        case "log":
            return await log(client, step, messages)
        case "watch":
            return await watch(client, step, updates)
        case "tools":
            return {"ok": await all_pages(client.list_tools, "tools")}
        case "prompts":
            return {"ok": await all_pages(client.list_prompts, "prompts")}
        case "resources":
            return {"ok": await all_pages(client.list_resources, "resources")}
        case "templates":
            return {"ok": await all_pages(client.list_resource_templates, "resourceTemplates")}
        case "call":
            return await call(client, step)
        case "prompt":
            return {"ok": plain(await client.get_prompt(step["name"], step.get("arguments")))}
        case "read":
            return {"ok": plain(await client.read_resource(step["uri"]))}
        case "complete":
            return {"ok": plain(await client.complete(reference(step["ref"]), step["argument"], step.get("context")))}
        case unknown:
            raise ValueError(f"no such step: {unknown}")


async def attempt(client, step, messages, updates, answerer):
    answerer.begin(step)
    try:
        done = await asyncio.wait_for(perform(client, step, messages, updates), STEP_DEADLINE)
    except MCPError as error:
        done = {"error": {"code": error.code, "message": error.message}}
    return {**done, "asked": answerer.asked}


class Answerer:
    """Answers what servers ask."""

    def begin(self, step):
        self.action, self.asked = step.get("action", "accept"), []

    async def elicit(self, context, params):
        self.asked.append(["elicitation/create", params.message])
        form = getattr(params, "requested_schema", None)
        if self.action != "accept" or form is None:
            return ElicitResult(action=self.action)
        values = {"string": "Ada", "boolean": True, "integer": 7, "number": 7}
        fields = form["properties"]
        content = {name: values[fields[name]["type"]] for name in form.get("required", [])}
        return ElicitResult(action="accept", content=content)

    async def sample(self, context, params):
        self.asked.append(["sampling/createMessage", None])
        text = TextContent(type="text", text=f"sampled: {params.messages[-1].content.text}")
        return CreateMessageResult(role="assistant", model="none", content=text, stop_reason="endTurn")

    async def roots(self, context):
        self.asked.append(["roots/list", None])
        return ListRootsResult(roots=[Root(uri="file:///work", name="work")])

    def handlers(self):
        tools = SamplingCapability(tools=SamplingToolsCapability())
        return {
            "elicitation_callback": self.elicit,
            "sampling_callback": self.sample,
            "sampling_capabilities": tools,
            "list_roots_callback": self.roots,
        }


def server(target):
    if target.startswith("["):
        program, *arguments = json.loads(target)
        return StdioServerParameters(command=program, args=arguments)
    if target.startswith("sse:"):
        return sse_client(target.removeprefix("sse:"))
    return target


async def main(target, mode, asked=None):
    steps = json.load(sys.stdin)
    messages, updates = [], asyncio.Queue()

    async def on_log(params):
        messages.append(params)

    async def on_message(message):
        if isinstance(message, ResourceUpdatedNotification):
            await updates.put(message.params.uri)

    level = next((step["level"] for step in steps if "level" in step), None)
    handlers = {"logging_callback": on_log, "message_handler": on_message, "log_level": level}
    answerer = Answerer()
    if asked:
        handlers |= answerer.handlers()
    async with Client(server(target), mode=mode, **handlers) as client:
        report = {
            "version": client.protocol_version,
            "server": client.server_info.name if client.server_info else None,
            "steps": [await attempt(client, step, messages, updates, answerer) for step in steps],
        }
    json.dump(report, sys.stdout)


asyncio.run(main(*sys.argv[1:]))
