"""Drives the Python SDK's client: `session.py URL MODE`, steps as a JSON array on standard input.

MODE is `legacy`, `auto` or a modern revision. Every step is `{"do": verb, ...}`; standard output gets one JSON object:
the revision spoken, the server's name, and per step `{"ok": result, "progress": [...]}` or `{"error": {code, message}}`.
"""

import asyncio
import json
import sys

from mcp import MCPError
from mcp.client.client import Client
from mcp.types import PromptReference, ResourceTemplateReference

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


async def perform(client, step):
    match step["do"]:
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


async def attempt(client, step):
    try:
        return await asyncio.wait_for(perform(client, step), STEP_DEADLINE)
    except MCPError as error:
        return {"error": {"code": error.code, "message": error.message}}


async def main(url, mode):
    steps = json.load(sys.stdin)
    async with Client(url, mode=mode) as client:
        report = {
            "version": client.protocol_version,
            "server": client.server_info.name if client.server_info else None,
            "steps": [await attempt(client, step) for step in steps],
        }
    json.dump(report, sys.stdout)


asyncio.run(main(*sys.argv[1:]))
