"""Has the Python SDK's client find out by itself how to log in: `login.py URL MODE ACCOUNT`, as login.mjs does."""

import asyncio
import json
import sys
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx2
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata

REDIRECT = "http://127.0.0.1/callback"


class Kept:
    tokens = client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


async def main(url, mode, account):
    seen = {}

    async def browse(start):
        """Follows redirects as a browser does, with cookies, until one leads back to the client."""
        seen["authorization"], at = start, start
        async with httpx2.AsyncClient(cookies={"account": account}) as browser:
            for _ in range(20):
                response = await browser.get(at)
                at = urljoin(at, response.headers["location"])
                if at.startswith(REDIRECT):
                    seen["callback"] = dict(parse_qsl(urlsplit(at).query))
                    return
        raise RuntimeError("redirected for ever")

    async def called_back():
        callback = seen["callback"]
        return AuthorizationCodeResult(code=callback["code"], state=callback.get("state"), iss=callback.get("iss"))

    metadata = OAuthClientMetadata(
        client_name="weir-tests",
        redirect_uris=[REDIRECT],
        grant_types=["authorization_code", "refresh_token"],
        token_endpoint_auth_method="none",
        application_type="native",
    )
    auth = OAuthClientProvider(url, metadata, Kept(), browse, called_back)
    async with httpx2.AsyncClient(auth=auth, follow_redirects=True) as http:
        async with Client(streamable_http_client(url, http_client=http), mode=mode) as client:
            tools = (await client.list_tools()).tools
            authorization = urlsplit(seen["authorization"])
            report = {
                "version": client.protocol_version,
                "tools": [tool.name for tool in tools],
                "authorization": dict(parse_qsl(authorization.query)),
                "origin": f"{authorization.scheme}://{authorization.netloc}",
            }
    json.dump(report, sys.stdout)


asyncio.run(main(*sys.argv[1:]))
