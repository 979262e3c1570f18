"""`through_weir.py WEIR MODE URL`: stands in for a client that the conformance suite tests, with weir in between.

Serves URL behind weir and uses all that is there through it, as a client of MODE: lists everything, calls the tools that the
suite names in MCP_CONFORMANCE_CONTEXT, or else every tool, reads every resource, gets every prompt, and answers what it is
asked. While a tool waits for an answer it calls another one.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile

from mcp import MCPError
from mcp.client.client import Client
from mcp.types import CreateMessageResult, ElicitResult, ListRootsResult, TextContent

DEADLINE = 20
VALUES = {"number": 1.5, "integer": 3, "boolean": True, "object": {}, "array": []}
# The tool that is given another tool's schema, and the tool that is called between the rounds of others.
ECHO, RICH = "json_schema_echo", "json_schema_2020_12_tool"
BETWEEN = "test_mrtr_unrelated"


def arguments(tool, tools):
    """Something for each parameter of a tool."""
    if tool.name == ECHO:
        return {"schema": next(other.input_schema for other in tools if other.name == RICH)}
    properties = tool.input_schema.get("properties", {})
    return {name: VALUES.get(schema.get("type"), "us-west1") for name, schema in properties.items()}


class User:
    """A user who accepts everything, with the defaults that a form has."""

    def __init__(self):
        self.interrupted = lambda: asyncio.sleep(0)

    async def fill_in(self, context, params):
        await self.interrupted()
        properties = params.requested_schema.get("properties", {})
        defaults = {name: schema["default"] for name, schema in properties.items() if "default" in schema}
        return ElicitResult(action="accept", content=defaults)

    async def sample(self, context, params):
        text = TextContent(type="text", text="An answer.")
        return CreateMessageResult(role="assistant", content=text, model="none", stop_reason="endTurn")

    async def list_roots(self, context):
        return ListRootsResult(roots=[])


async def attempt(what, action):
    """Does something; the suite judges whether it should have succeeded."""
    try:
        return await action
    except MCPError as error:
        print(f"{what}: {error}", file=sys.stderr)
        return None


async def use(url, mode):
    user = User()
    handlers = {
        "elicitation_callback": user.fill_in,
        "sampling_callback": user.sample,
        "list_roots_callback": user.list_roots,
    }
    async with Client(url, mode=mode, **handlers) as client:
        tools = (await client.list_tools()).tools
        if any(tool.name == BETWEEN for tool in tools):
            user.interrupted = lambda: client.call_tool(BETWEEN)
        context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
        everything = [{"name": tool.name, "arguments": arguments(tool, tools)} for tool in tools]
        for call in context.get("toolCalls", everything):
            await attempt(call["name"], client.call_tool(call["name"], call["arguments"]))
        resources = await attempt("resources", client.list_resources())
        for resource in resources.resources if resources else []:
            await attempt(resource.uri, client.read_resource(resource.uri))
        prompts = await attempt("prompts", client.list_prompts())
        for prompt in prompts.prompts if prompts else []:
            await attempt(prompt.name, client.get_prompt(prompt.name))


def main(weir, mode, url):
    config = {
        "listener": {"address": "127.0.0.1:0"},
        "backends": {"suite": {"url": url}},
        "endpoints": {"main": {"path": "/mcp", "backends": ["suite"], "conflicts": "none"}},
    }
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(config, file)
        file.flush()
        server = subprocess.Popen([weir, "serve", "--config", file.name], stdout=subprocess.PIPE, text=True)
        try:
            line = next(line for line in server.stdout if "http://" in line)
            endpoint = "http://" + line.split("http://")[1].split()[0]
            asyncio.run(asyncio.wait_for(use(endpoint, mode), DEADLINE))
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
