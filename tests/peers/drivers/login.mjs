// Has the TypeScript SDK's client find out by itself how to log in: `login.mjs URL MODE ACCOUNT`.
//
// It begins with the URL alone. What its user's browser would do at the provider is done here, as ACCOUNT. The report has the
// revision, the tools, and what was asked of the provider.

import { Client, StreamableHTTPClientTransport, UnauthorizedError } from "@modelcontextprotocol/client";

const [url, mode, account] = process.argv.slice(2);
const redirectUrl = "http://127.0.0.1/callback";
const kept = {};
let callback;

/** Follows redirects as a browser does, with cookies, until one leads back to the client. */
async function browse(start) {
  const cookies = new Map([["account", account]]);
  for (let at = start, hops = 0; hops < 20; hops += 1) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(at, { redirect: "manual", headers: { cookie } });
    for (const line of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      cookies.set(name, value);
    }
    const next = response.headers.get("location");
    if (next === null) {
      throw new Error(`no redirect but ${response.status}: ${await response.text()}`);
    }
    at = new URL(next, at);
    if (at.href.startsWith(redirectUrl)) {
      return at.searchParams;
    }
  }
  throw new Error("redirected for ever");
}

const authProvider = {
  get redirectUrl() {
    return redirectUrl;
  },
  get clientMetadata() {
    return {
      client_name: "weir-tests",
      redirect_uris: [redirectUrl],
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      token_endpoint_auth_method: "none",
      application_type: "native",
    };
  },
  clientInformation: () => kept.client,
  saveClientInformation: (client) => void (kept.client = client),
  tokens: () => kept.tokens,
  saveTokens: (tokens) => void (kept.tokens = tokens),
  saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
  codeVerifier: () => kept.verifier,
  redirectToAuthorization: async (to) => {
    kept.authorization = to;
    callback = await browse(to);
  },
};

const negotiation = mode === "legacy" || mode === "auto" ? mode : { pin: mode };
const begin = () => new Client({ name: "weir-tests", version: "1" }, { versionNegotiation: { mode: negotiation } });
const open = () => new StreamableHTTPClientTransport(new URL(url), { authProvider });

let client = begin();
let transport = open();
try {
  await client.connect(transport);
  throw new Error("nobody asked who calls");
} catch (error) {
  // What connects by finding out the revision first may wrap it.
  if (!(error instanceof UnauthorizedError) && !(error.cause instanceof UnauthorizedError) && callback === undefined) {
    throw error;
  }
  await transport.finishAuth(callback);
}
client = begin();
transport = open();
await client.connect(transport);
const tools = await client.listTools();
const report = {
  version: client.getNegotiatedProtocolVersion(),
  tools: tools.tools.map((tool) => tool.name),
  authorization: Object.fromEntries(kept.authorization.searchParams),
  origin: kept.authorization.origin,
};
await client.close();
process.stdout.write(JSON.stringify(report));
