"""`through_weir.py WEIR MODE URL`: stands in for a client that the conformance suite tests, with weir in between.

Serves URL behind weir, lists the tools through it as a client of MODE, and calls those that the suite names in
MCP_CONFORMANCE_CONTEXT, or else every tool that is listed.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile

from mcp import MCPError
from mcp.client.client import Client

DEADLINE = 20


async def use(url, mode):
    async with Client(url, mode=mode) as client:
        listed = (await client.list_tools()).tools
        calls = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}").get("toolCalls")
        everything = [{"name": tool.name, "arguments": {"region": "us-west1"}} for tool in listed]
        for call in calls or everything:
            try:
                await client.call_tool(call["name"], call["arguments"])
            except MCPError as error:
                print(f"{call['name']}: {error}", file=sys.stderr)


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
