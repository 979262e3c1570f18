"""`connecting.py WEIR MODE URL`: stands in for a client that the conformance suite tests in its scenarios of authorization.

Serves URL behind weir as a backend that its user connects. Connects it by the pages of weir, lists its tools and calls each, as a
client of MODE; where a call wants the backend connected (again), does that and goes on.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from urllib.parse import urlsplit

from browser import Browser, Refused
from mcp import MCPError
from mcp.client.client import Client
from mcp.types import ElicitResult

DEADLINE = 20
# How long tools are waited for that a server may never show.
PATIENCE = 5
# A legacy server's error that wants a page visited.
VISIT = -32042
DOCUMENT = "https://conformance-test.local/client-metadata.json"

scenario = os.environ.get("MCP_CONFORMANCE_SCENARIO", "")
context = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")


def issuer(url):
    """The authorization server of the server at `url`, for what has to be configured before anybody asks."""
    place = urlsplit(url)
    where = f"{place.scheme}://{place.netloc}/.well-known/oauth-protected-resource{place.path}"
    with urllib.request.urlopen(where, timeout=DEADLINE) as answer:
        return json.load(answer)["authorization_servers"][0]


def credentials(url):
    """How weir is told to call the server."""
    if "client-credentials" in scenario:
        server = {"issuer": issuer(url), "client_id": context["client_id"], "private": True}
        if "client_secret" in context:
            server["client_secret"] = context["client_secret"]
        else:
            algorithm = context["signing_algorithm"]
            server["private_key"] = {"key": context["private_key_pem"], "algorithm": algorithm}
        return {"client_credentials": {"server": server}}
    oauth = {"lists": "granted", "private": True}
    if "cimd" in scenario:
        oauth["document"] = DOCUMENT
    if "client_id" in context:
        own = {key: context[key] for key in ("client_id", "client_secret")}
        oauth["clients"] = [{"issuer": issuer(url), **own}]
    return {"oauth": oauth}


async def tools_of(client):
    """The tools, once there are any."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        tools = (await client.list_tools()).tools
        if tools:
            return tools
        await asyncio.sleep(0.05)
    return []


async def use(url, mode, browser, page):
    async def visit(_, params):
        await asyncio.to_thread(browser.connect, params.url)
        return ElicitResult(action="accept")

    async with Client(url, mode=mode, elicitation_callback=visit) as client:
        tools = await tools_of(client)
        if not tools and page:
            # What was there for a moment wants the server connected anew.
            await asyncio.to_thread(browser.connect, page)
            tools = await tools_of(client)
        for tool in tools:
            for _ in range(3):
                try:
                    await client.call_tool(tool.name, {})
                    break
                except MCPError as error:
                    print(f"{tool.name}: {error}", file=sys.stderr)
                    if error.error.code != VISIT:
                        break
                    await asyncio.to_thread(browser.connect, error.error.data["elicitations"][0]["url"])


def main(weir, mode, url):
    config = {
        "listener": {"address": "127.0.0.1:0"},
        "backends": {"suite": {"url": url, "auth": credentials(url)}},
        "endpoints": {"main": {"path": "/mcp", "backends": ["suite"], "conflicts": "none"}},
    }
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(config, file)
        file.flush()
        server = subprocess.Popen([weir, "serve", "--config", file.name], stdout=subprocess.PIPE, text=True)
        try:
            line = next(line for line in server.stdout if "http://" in line)
            place = "http://" + line.split("http://")[1].split()[0].split("/")[0]
            browser, page = Browser(), None
            if "oauth" in config["backends"]["suite"]["auth"]:
                page = f"{place}/connect/main?backend=suite"
                browser.connect(page)
            asyncio.run(asyncio.wait_for(use(f"{place}/mcp", mode, browser, page), DEADLINE))
        except Refused as refused:
            sys.exit(f"not connected: {refused}")
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
