//! weir, and servers behind it that count what gets through.

use serde_json::{Value, json};
use weir_tests::scripted::{Received, Reply, tool};
use weir_tests::{Endpoint, Request, Scripted, Weir, modern, wait, weir};

/// What weir asks of servers for its own sake.
const OWN: [&str; 8] = [
    "initialize",
    "ping",
    "server/discover",
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "notifications/initialized",
];

/// The resource that weir says it is.
pub const RESOURCE: &str = "https://weir.test/mcp";

/// A key of `alice`, who is in the group `developers`.
pub const ALICE: &str = "weir_alice-00000000000000000000000000000000";
/// A key of `mallory`, who is in no group.
pub const MALLORY: &str = "weir_mallory-000000000000000000000000000000";
/// A key that has ended.
pub const LATE: &str = "weir_late-000000000000000000000000000000000";
/// The digest of [`ALICE`].
pub const ALICE_DIGEST: &str = "fda43e578c0841fb0f297aecd8bbade4c5806c344e704336930936fcbbbfe7b2";

/// What everybody may do.
pub const ALL: &str = "permit(principal, action, resource);";

/// Those three keys.
pub fn keys() -> Value {
    json!([
        {"name": "alice", "groups": ["developers"], "sha256": ALICE_DIGEST},
        {"name": "mallory", "sha256": "698dd96b3f09a517600f6e94cf290ae5461f8567a0b352e8ab4b2f83545f78f3"},
        {
            "name": "late", "expires": "2026-01-01", "groups": ["developers"],
            "sha256": "e9c2175cb5e29582491e9dcdc060fdbbdb3d7758f1f759e73359920bff7d0658",
        },
    ])
}

/// A running weir over servers that offer what may be had (`open`) beside what may not (`secret`).
#[derive(Debug)]
pub struct Stage {
    pub weir: Weir,
    /// Whether there is somewhere to log in.
    pub has_issuers: bool,
    servers: Vec<Scripted>,
}

impl Stage {
    /// One endpoint, `/mcp`, with these members, over the servers `main` and `other`.
    pub fn new(endpoint: Value) -> Self {
        let (servers, has_issuers) = (servers(), has_issuers(&endpoint));
        let weir = Weir::serve(weir::config(backends(&servers), endpoint));
        Self { weir, has_issuers, servers }
    }

    /// The same, where everything is logged that may be.
    pub fn logging(endpoint: Value) -> Self {
        let (servers, has_issuers) = (servers(), has_issuers(&endpoint));
        let weir = Weir::serve_logging(weir::config(backends(&servers), endpoint), "trace");
        Self { weir, has_issuers, servers }
    }

    /// The same, behind another listener.
    pub fn listening(endpoint: Value, listener: Value) -> Self {
        let (servers, has_issuers) = (servers(), has_issuers(&endpoint));
        let mut config = weir::config(backends(&servers), endpoint);
        config["listener"] = listener;
        Self { weir: Weir::serve(config), has_issuers, servers }
    }

    /// One endpoint, `/mcp`, over one server, which is behind it as `at0`, `at1` and so on, each time with another `auth`.
    pub fn authorized(endpoint: Value, auths: &[Value]) -> Self {
        let (servers, has_issuers) = (servers(), has_issuers(&endpoint));
        let mut backends = json!({});
        for (place, auth) in auths.iter().enumerate() {
            backends[format!("at{place}")] = json!({"url": servers[0].url(), "auth": auth});
        }
        Self { weir: Weir::serve(weir::config(backends, endpoint)), has_issuers, servers }
    }

    /// These endpoints, over one server.
    pub fn of(endpoints: Value) -> Self {
        let servers = servers();
        let main = json!({"main": servers[0].backend()});
        let weir = Weir::serve(json!({"backends": main, "endpoints": endpoints}));
        Self { weir, has_issuers: true, servers }
    }

    /// Takes another configuration for the endpoint.
    pub fn reconfigure(&self, endpoint: Value) {
        self.weir.reconfigure(weir::config(backends(&self.servers), endpoint));
        self.weir.hang_up();
    }

    /// How many requests got through: all that weir did not make for its own sake.
    pub fn executed(&self) -> usize {
        self.reached().len()
    }

    /// The requests that got through.
    pub fn reached(&self) -> Vec<Received> {
        let all = self.servers.iter().flat_map(Scripted::received);
        all.filter(|request| request.method == "POST" && !is_own(request)).collect()
    }

    /// Everything that the servers received.
    pub fn received(&self) -> Vec<Received> {
        self.servers.iter().flat_map(Scripted::received).collect()
    }
}

fn has_issuers(endpoint: &Value) -> bool {
    !endpoint["auth"]["issuers"].is_null()
}

fn is_own(request: &Received) -> bool {
    let method = request.rpc_method();
    let watched = &request.json()["params"]["notifications"];
    OWN.contains(&&*method)
        || (method == "subscriptions/listen"
            && watched["resourceSubscriptions"].as_array().is_none_or(Vec::is_empty)
            && watched["taskIds"].as_array().is_none_or(Vec::is_empty))
}

fn servers() -> Vec<Scripted> {
    vec![Scripted::start(answer), Scripted::start(answer)]
}

fn backends(servers: &[Scripted]) -> Value {
    json!({"main": servers[0].backend(), "other": servers[1].backend()})
}

/// A call of `name` by a modern client.
pub fn call(name: &str, arguments: Value) -> Request {
    request("tools/call", json!({"name": name, "arguments": arguments}))
}

/// A request with a key.
pub fn by(key: &str, request: Request) -> Request {
    request.header("authorization", &format!("Bearer {key}"))
}

/// A modern request of a client that can be asked and knows tasks.
pub fn request(method: &str, params: Value) -> Request {
    let capabilities = json!({"elicitation": {}, "extensions": {"io.modelcontextprotocol/tasks": {}}});
    let params = modern::with_meta(params, &capabilities);
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let named = ["name", "uri", "taskId"].iter().find_map(|key| params[*key].as_str());
    modern::post(&message.to_string(), method, named)
}

/// The endpoint's members that most stages have: names as they are.
pub fn plain(mut members: Value) -> Value {
    members["conflicts"] = json!("priority");
    members
}

/// Waits until an endpoint shows a tool to the holder of a key.
pub fn wait_for_lists(to: &Endpoint, key: &str) {
    wait::until_true("the lists are there", || {
        by(key, request("tools/list", json!({}))).send(to).text().contains("open\"")
    });
}

/// A modern server that has one of everything, and says of every call what it was.
fn answer(request: &Received, reply: &mut Reply<'_>) {
    let message = request.json();
    let params = &message["params"];
    let result = match request.rpc_method().as_str() {
        _ if request.method != "POST" => return reply.body(405, "text/plain", ""),
        "server/discover" => json!({
            "supportedVersions": [modern::REVISION],
            "capabilities": {
                "tools": {"listChanged": true}, "prompts": {}, "completions": {}, "resources": {"subscribe": true},
                "extensions": {"io.modelcontextprotocol/tasks": {}},
            },
            "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "victim", "version": "1"}},
        }),
        "tools/list" => json!({"tools": tools()}),
        "prompts/list" => {
            let arguments = json!([{"name": "who"}]);
            json!({"prompts": [
                {"name": "open", "arguments": arguments}, {"name": "secret", "arguments": arguments}
            ]})
        }
        "resources/list" => json!({"resources": URIS.map(|uri| json!({"uri": uri, "name": uri}))}),
        "resources/templates/list" => json!({"resourceTemplates": [
            {"uriTemplate": "doc://open.test/made/{id}", "name": "open"},
            {"uriTemplate": "doc://secret.test/made/{id}", "name": "secret"},
            {"uriTemplate": "DOC://SECRET.test/loud/{id}", "name": "secret"},
        ]}),
        "subscriptions/listen" => {
            reply.open_events();
            let meta = json!({"io.modelcontextprotocol/subscriptionId": message["id"]});
            let params = json!({"notifications": params["notifications"], "_meta": meta});
            let method = "notifications/subscriptions/acknowledged";
            reply.event(json!({"jsonrpc": "2.0", "method": method, "params": params}));
            return reply.wait_for_close();
        }
        "tools/call" => return reply.result(request, called(params)),
        "prompts/get" => {
            json!({"messages": [{"role": "user", "content": {"type": "text", "text": "executed"}}]})
        }
        "resources/read" => {
            // Files may be kept for everybody.
            let file = params["uri"].as_str().is_some_and(|uri| uri.starts_with("file:"));
            let (ttl, scope) = if file { (600_000, "public") } else { (0, "private") };
            let contents = json!([{"uri": params["uri"], "text": "executed"}]);
            json!({"contents": contents, "ttlMs": ttl, "cacheScope": scope})
        }
        "completion/complete" => json!({"completion": {"values": ["executed"]}}),
        method if method.starts_with("tasks/") => task(&params["taskId"]),
        _ => json!({}),
    };
    reply.result(request, complete(result));
}

/// The resources that are listed.
const URIS: [&str; 5] = [
    "doc://open.test/a",
    "doc://secret.test/a",
    "file:///srv/open.txt",
    "file:///srv/secret.txt",
    "https://files.test/secret/a",
];

fn complete(mut result: Value) -> Value {
    for (name, value) in
        [("resultType", json!("complete")), ("ttlMs", json!(0)), ("cacheScope", json!("private"))]
    {
        if result[name].is_null() {
            result[name] = value;
        }
    }
    result
}

fn tools() -> Value {
    let schema = json!({"type": "object", "properties": {
        "env": {"type": "string"},
        "count": {"type": "integer"},
        "force": {"type": "boolean"},
        "deep": {"type": "object", "properties": {"env": {"type": "string"}}},
    }});
    let mut tools = ["open", "secret", "ask", "work", "third"].map(tool).to_vec();
    tools.push(json!({"name": "deploy", "description": "Deploys.", "inputSchema": schema}));
    json!(tools)
}

fn task(id: &Value) -> Value {
    json!({
        "resultType": "complete", "taskId": id, "status": "working", "ttlMs": 600_000, "pollIntervalMs": 1000,
        "createdAt": "2026-01-01T00:00:00Z", "lastUpdatedAt": "2026-01-01T00:00:00Z",
    })
}

fn called(params: &Value) -> Value {
    let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}});
    let form = json!({"mode": "form", "message": "Who?", "requestedSchema": schema});
    match params["name"].as_str() {
        Some("ask") if params.get("inputResponses").is_none() => json!({
            "resultType": "input_required",
            "inputRequests": {"who": {"method": "elicitation/create", "params": form}},
            "requestState": "state of the server",
        }),
        Some("work") => {
            let mut made = task(&json!("inner-1"));
            made["resultType"] = json!("task");
            made
        }
        _ => complete(json!({"content": [{"type": "text", "text": "executed"}]})),
    }
}
